import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { VARIABLES } from "../../common/variables.ts";
import { DEAD_LETTER_TOPIC } from "../../iac/names.ts";

const DOCS = join(import.meta.dirname, "..", "..", "docs");
const DOCUMENT = readFileSync(join(DOCS, "architecture.md"), "utf8");
const [, LIST = ""] = /<!-- critical -->(.*?)<!-- \/critical -->/s.exec(DOCUMENT) ?? [];

test("each point that must hold names a test that exists, by its title", () => {
  const points = parsePoints(LIST);
  assert.ok(points.length >= 25);
  for (const point of points) assert.ok(hasTest(point), `${point.file}: ${point.title}`);
});

test("a point whose test was renamed or removed is found", () => {
  const [point = assert.fail()] = parsePoints(LIST);
  assert.ok(!hasTest({ ...point, title: `${point.title}, always` }));
  assert.ok(!hasTest({ ...point, title: point.title.slice(0, -1) }));
  assert.throws(() => hasTest({ ...point, file: "../test/settling/gone.test.ts" }), /ENOENT/);
});

test("the picture of the system names the topics and subscriptions that there are", () => {
  const [, picture = ""] = /```mermaid\n(.*?)```/s.exec(DOCUMENT) ?? [];
  assert.deepEqual(picture.match(/constancia-[a-z-]+/g), [
    VARIABLES.PUBSUB_TOPIC.default,
    VARIABLES.PUBSUB_SUBSCRIPTION.default,
    DEAD_LETTER_TOPIC,
  ]);
});

/** The rows of the table: the file that each links to, and the title in it. */
function parsePoints(text: string): { file: string; title: string }[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| point |"))
    .map((line) => {
      const [, file, title] = /^\| .+ \| \[[\w-]+\]\((\S+)\) \| (.+) \|$/.exec(line) ?? [];
      if (file === undefined || title === undefined) throw new Error(`No row of points: ${line}`);
      return { file, title };
    });
}

function hasTest({ file, title }: { file: string; title: string }): boolean {
  const text = readFileSync(join(DOCS, file), "utf8");
  return ["it", "test", "describe"].some((call) => text.includes(`${call}("${title}"`));
}
