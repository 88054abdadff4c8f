import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { findProgram } from "../local/programs.ts";
import { FLAGS } from "../test/support/stand-in-gcloud-commands.ts";

const ROOT = join(import.meta.dirname, "..");
/** The files in which command lines of gcloud stand. The rollout's are those of its stand-in. */
const FILES = [
  "README.md",
  "deploy/deploy.sh",
  "ops/audit-cloud.sh",
  "iac/observability/runbooks.ts",
  ...listFiles(".github/workflows", ".yaml"),
  ...listFiles("docs", ".md"),
];
/** Components that are not in the tree of the CLI itself. */
const COMPONENTS = ["beta emulators"];
/** Still there, though gcloud does not offer it any more. */
const HIDDEN = ["config get-value"];
/** gcloud's completion has these of `app deploy` under the global flags, or not at all. */
const UNLISTED: Record<string, string[]> = { "app deploy": ["--version"] };

/** A command or a group of commands, as gcloud's completion knows it. */
type Node = { commands: Record<string, Node>; flags: Record<string, unknown> };
type Line = { place: string; words: string[]; flags: string[] };

const gcloud = findProgram("gcloud");
const sdk = gcloud ? join(realpathSync(gcloud), "..", "..") : "";
const tree = join(sdk, "data", "cli", "gcloud_completions.py");
const skip =
  gcloud && existsSync(tree) && findProgram("python3")
    ? false
    : "the Google Cloud CLI is not installed, so nothing knows its flags";

describe("the Google Cloud CLI", { skip }, () => {
  let root: Node;
  before(() => {
    const print =
      "import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])['STATIC_COMPLETION_CLI_TREE']))";
    const out = execFileSync("python3", ["-B", "-c", print, tree], { maxBuffer: 2 ** 28 });
    root = JSON.parse(out.toString());
  });

  it("knows every command and flag in scripts, workflows and documents", () => {
    const lines = FILES.flatMap(listLines);
    assert.ok(lines.length > 20, String(lines.length));
    for (const line of lines) assert.deepEqual(findFaults(line), [], JSON.stringify(line));
  });

  it("knows every command and flag of the rollout, which its stand-in takes", () => {
    for (const [command, flags] of Object.entries(FLAGS)) {
      const given = [...flags, "quiet", "project", "format"].map((flag) => `--${flag}`);
      const line = { place: "rollout", words: command.split(" "), flags: given };
      assert.deepEqual(findFaults(line), []);
    }
  });

  it("shows a command and a flag that do not exist", () => {
    const faulty = [
      "gcloud app services set-trafic default --splits=a=1",
      "gcloud app deploy app.yaml --no-promotes --quiet",
      "gcloud secrets versions list x --filters=state=enabled",
    ];
    assert.deepEqual(faulty.flatMap((text) => parseLines("here", text)).map(findFaults), [
      ["here: there is no gcloud app services set-trafic"],
      ["here: gcloud app deploy has no --no-promotes"],
      ["here: gcloud secrets versions list has no --filters"],
    ]);
  });

  function findFaults({ place, words, flags }: Line): string[] {
    if (HIDDEN.includes(words.join(" "))) return [];
    let node = root;
    const path: string[] = [];
    for (const word of words) {
      const next = Object.hasOwn(node.commands, word) ? node.commands[word] : undefined;
      if (!next) break;
      node = next;
      path.push(word);
    }
    const command = path.join(" ");
    if (Object.keys(node.commands).length > 0)
      return [`${place}: there is no gcloud ${[...path, words[path.length]].join(" ")}`];
    const known = [
      ...Object.keys(root.flags),
      ...Object.keys(node.flags),
      ...(UNLISTED[command] ?? []),
    ];
    return flags
      .filter((flag) => !known.includes(flag) && !known.includes(flag.replace("--no-", "--")))
      .map((flag) => `${place}: gcloud ${command} has no ${flag}`);
  }
});

function listFiles(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file));
}

function listLines(file: string): Line[] {
  const text = readFileSync(join(ROOT, file), "utf8").replaceAll("\\\n", " ");
  return parseLines(file, text);
}

/** Each command line, up to what ends it in a shell, in Markdown or in a text. */
function parseLines(place: string, text: string): Line[] {
  return [...text.matchAll(/(?:^|[\s(`"])gcloud ((?:[a-z][a-z-]* ?)+)([^\n`;|&)]*)/gm)]
    .map(([, words = "", rest = ""]) => ({
      place,
      words: words.trim().split(/\s+/),
      flags: [...rest.matchAll(/(?<=\s|^)--[a-z][a-z-]*/g)].map(([flag]) => flag),
    }))
    .filter(({ flags }) => flags.length > 0)
    .filter(({ words }) => !COMPONENTS.some((one) => words.join(" ").startsWith(one)));
}
