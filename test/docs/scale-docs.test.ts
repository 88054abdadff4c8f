import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";
import { FIGURES, SIZES } from "../../proof/scale/figures.ts";
import { buildSetup } from "../../proof/scale/simulate-setup.ts";

const ROOT = new URL("../../", import.meta.url);
const DOCUMENT = readFileSync(new URL("docs/scale.md", ROOT), "utf8");
const { scripts } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8"));
const BLOCKS = DOCUMENT.matchAll(/<!-- npm run (\w+) -- (.*?) -->\n\n(.*?)\n\n<!-- \/npm -->/gs);

function run(script: string, options: string) {
  const [, ...args] = `${scripts[script]} ${options}`.split(" ");
  return spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", maxBuffer: 2 ** 25 });
}

test("the document on scale has what its commands print", () => {
  const blocks = [...BLOCKS];
  assert.equal(blocks.length, 4);
  for (const [, script = "", options = "", block = ""] of blocks) {
    const { status, stdout } = run(script, options);
    assert.equal(status, 0, script);
    const stated = block.replace(/^```text\n(.*)\n```$/s, "$1");
    assert.ok(stdout.includes(stated), `npm run ${script} -- ${options} printed\n\n${stdout}`);
  }
});

test("what the document on scale says of other loads is so", () => {
  const [, curve = ""] = /--curve (\S+) -->/.exec(DOCUMENT) ?? [];
  const getSummary = (options: string) =>
    JSON.parse(run("simulate", `--json --curve ${curve} ${options}`).stdout).summary;
  const bigger = getSummary("--tier db-custom-2-7680 --subscriber-instances 8");
  assert.ok(bigger.mostLagSeconds <= 3);
  const seed = getSummary("--shape seed");
  assert.equal(Math.round(seed.offered / seed.refused), 3);
  assert.ok(seed.mostLagSeconds > 6 * 60 && seed.backlog > 0);
});

test("the limits that the document on scale names are those of the figures", () => {
  const { api, subscriber, mysql } = buildSetup();
  const { constancia, seed } = FIGURES;
  const thousands = (perSecond: number) => `${Math.round(perSecond / 1_000)},000`;
  const rowsPerSecond = mysql.micros / (mysql.settleMicros + mysql.readMicros);
  const diskGbPerDay = Math.round(((300 + SIZES.row) * 1_000 * 86_400) / 1e9);
  for (const sentence of [
    `subscriber at ${thousands(subscriber.most * subscriber.perSecond)}`,
    `one core at ${thousands(rowsPerSecond)}`,
    `the API at ${thousands(api.most * api.perSecond)}`,
    `${diskGbPerDay} GB of rows a day`,
  ])
    assert.ok(DOCUMENT.includes(sentence), sentence);
  assert.ok(constancia.bulkMicros * 3 < constancia.postMicros);
  assert.ok(seed.pushMysqlMicros > 6.5 * constancia.pushMysqlMicros);
  assert.ok(seed.pullMysqlMicros > 6.5 * constancia.pullMysqlMicros);
});
