import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { CLAIMS } from "../../ops/verify-cloud/claims.ts";

const ROOT = new URL("../../", import.meta.url);
const FILES = [
  "README.md",
  ...readdirSync(new URL("docs/", ROOT), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
];
/** How the documents say that something was not verified on Google Cloud. */
const NOT_VERIFIED =
  /\b(not|nothing|none|never|nobody|no pool|no workflow)\b[^,;]{0,40}\b(verified|has run|have run|been run)\b/i;
/** Said of something else than Google Cloud. */
const ELSEWHERE = [
  // Of `npm audit`, which needs the public registry.
  "Not verified.",
  "Kibana and Filebeat have not been run in tests",
  "No container and no workflow of this repository has been run.",
];

/** The sentences of a document, without code and marks; an item that follows a colon is one, too. */
function listSentences(text: string): { sentence: string; isItem: boolean }[] {
  const prose = text.replaceAll(/```.*?```/gs, "").replaceAll(/^[|#].*$/gm, "");
  const blocks = prose.split(/\n\s*\n|\n(?=\s*- )/);
  let introduced = false;
  return blocks.flatMap((block) => {
    const plain = block.replaceAll(/\s+/g, " ").replaceAll("**", "").trim();
    const isItem = introduced && plain.startsWith("- ");
    const sentences = plain.replace(/^- /, "").split(/(?<=[.!?])\s+(?=[A-Z`*])/);
    introduced = isItem || /not verified:$/i.test(sentences.at(-1) ?? "");
    return sentences.map((sentence) => ({ sentence, isItem }));
  });
}

/** The sentences that say so, which each must be in the list. */
function findUnlisted(file: string, text: string): string[] {
  const said = CLAIMS.flatMap((claim) => claim.said).filter(([place]) => place === file);
  return listSentences(text)
    .filter(({ sentence, isItem }) => isItem || NOT_VERIFIED.test(sentence))
    .map(({ sentence }) => sentence)
    .filter((sentence) => !/: ?$/.test(sentence) || !/not verified:$/i.test(sentence))
    .filter((sentence) => !said.some(([, words]) => sentence.includes(words)))
    .filter((sentence) => !ELSEWHERE.some((words) => sentence.includes(words)));
}

const read = (file: string) => readFileSync(new URL(file, ROOT), "utf8");

test("what the documents call not verified on Google Cloud is in the list of verify-cloud", () => {
  for (const file of FILES) assert.deepEqual(findUnlisted(file, read(file)), [], file);
});

test("what the list quotes stands in the documents", () => {
  for (const { id, said } of CLAIMS)
    for (const [file, words] of said) {
      const sentences = listSentences(read(file)).map(({ sentence }) => sentence);
      assert.ok(
        sentences.some((sentence) => sentence.includes(words)),
        `${id}: ${file}: ${words}`,
      );
    }
});

test("a sentence, or an item, that is not in the list is found", () => {
  const text =
    "The cron works. It has not been verified\nyet. Not verified:\n\n- the *zone*;\n- how long.\n\nAll else.";
  assert.deepEqual(findUnlisted("docs/x.md", text), [
    "It has not been verified yet.",
    "the *zone*;",
    "how long.",
  ]);
});
