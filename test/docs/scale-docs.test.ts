import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";
import { FIGURES, SIZES } from "../../proof/scale/figures.ts";
import { buildSetup } from "../../proof/scale/simulate-setup.ts";

const ROOT = new URL("../../", import.meta.url);
const DOCUMENT = readFileSync(new URL("docs/scale.md", ROOT), "utf8");
const BLOCKS = DOCUMENT.matchAll(/<!-- npm run proof -- (.*?) -->\n\n(.*?)\n\n<!-- \/npm -->/gs);

function runProof(command: string) {
  const args = ["proof/main.ts", ...command.split(" ")];
  return spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", maxBuffer: 2 ** 25 });
}

test("docs/scale.md has the output of its commands", () => {
  const blocks = [...BLOCKS];
  assert.equal(blocks.length, 4);
  for (const [, command = "", block = ""] of blocks) {
    const { status, stdout } = runProof(command);
    assert.equal(status, 0, command);
    const stated = block.replace(/^```text\n(.*)\n```$/s, "$1");
    assert.ok(stdout.includes(stated), `npm run proof -- ${command} printed\n\n${stdout}`);
  }
});

test("the statements of docs/scale.md about other loads are true", () => {
  const [, curve = ""] = /--curve (\S+) -->/.exec(DOCUMENT) ?? [];
  const simulate = (options: string) =>
    JSON.parse(runProof(`simulate --json --curve ${curve} ${options}`).stdout).summary;
  const bigger = simulate("--tier db-custom-2-7680 --subscriber-instances 8");
  assert.ok(bigger.maxLagSeconds <= 3);
  const seed = simulate("--shape seed");
  assert.equal(Math.round(seed.offered / seed.refused), 3);
  assert.ok(seed.maxLagSeconds > 6 * 60 && seed.backlog > 0);
});

test("the limits in docs/scale.md are those of the figures", () => {
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
