import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";

const ROOT = join(import.meta.dirname, "..");
/** docs/decisions/2026-11-21-cdktf-and-its-fork.md */
const FORK = '"cdktf": "npm:cdktn@0.24.0"';
const SYNTHESISE = `
  import { synthesise } from "./iac/synth.ts";
  import { EVERYTHING, settingsWith } from "./iac/testing.ts";
  const all = [{}, EVERYTHING].map((environment) => synthesise(settingsWith({ environment })));
  process.stdout.write(JSON.stringify(all));`;

const skip = process.env.TEST_CDKTN !== "1" && "TEST_CDKTN is not 1: it installs 300 MB";

it("the community fork of CDKTF makes the same bytes, by one line of package.json", {
  skip,
}, () => {
  const root = mkdtempSync(join(tmpdir(), "constancia-fork-"));
  try {
    const isOurs = (path: string) => !path.includes("node_modules");
    for (const part of [
      "common",
      "iac",
      "ops/command-line.ts",
      "collections",
      "app.yaml",
      "cron.yaml",
      "subscriber.yaml",
      "package.json",
    ])
      cpSync(join(ROOT, part), join(root, part), { recursive: true, filter: isOurs });
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    const file = join(root, "iac", "package.json");
    const text = readFileSync(file, "utf8");
    const forked = text.replace(/"cdktf": "\d[\d.]*"/, FORK);
    assert.notEqual(forked, text);
    writeFileSync(file, forked);
    rmSync(join(root, "iac", "package-lock.json"));
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: join(root, "iac"),
    });
    const { name } = JSON.parse(
      readFileSync(join(root, "iac", "node_modules", "cdktf", "package.json"), "utf8"),
    );
    assert.equal(name, "cdktn");
    assert.equal(synthesiseIn(root), synthesiseIn(ROOT));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

function synthesiseIn(cwd: string): string {
  const args = ["--input-type=module", "--eval", SYNTHESISE];
  return execFileSync(process.execPath, args, { cwd, encoding: "utf8" });
}
