import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { CHROMIUM_SOURCES, downloadChromium, findChromium } from "./chromium.ts";

/**
 * What a machine does that has no Chromium. The host of Playwright's builds is stood in for by a
 * build in the place where Playwright would have unpacked it.
 */
describe("a machine without a Chromium of its own", () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "chromium-sources-"));
  });
  after(() => {
    delete process.env.CHROME_PATH;
    rmSync(folder, { recursive: true, force: true });
  });

  it("has Playwright download its own build, after all else", async () => {
    assert.equal(CHROMIUM_SOURCES.at(-1), downloadChromium);
    const expected = await writeBuild(folder);
    const found = await findChromium(folder, () => {}, [downloadChromium]);
    assert.equal(found.executablePath, expected);
  });

  it("takes the one that CHROME_PATH names before any other", async () => {
    process.env.CHROME_PATH = "/opt/chrome/chrome";
    const { executablePath } = await findChromium(folder, () => {});
    assert.equal(executablePath, "/opt/chrome/chrome");
    delete process.env.CHROME_PATH;
  });

  it("says in a sentence what to install where nothing can be downloaded", async () => {
    const said: string[] = [];
    const fails = async () => {
      throw new Error("the host cannot be reached");
    };
    await assert.rejects(
      findChromium(folder, (line) => said.push(line), [fails]),
      /^Error: no Chromium could be found or fetched\. Install the package chromium /,
    );
    assert.deepEqual(said, ["Chromium cannot be fetched: the host cannot be reached"]);
  });
});

/** Puts a program where Playwright unpacks its Chromium, as if it were installed; its path. */
async function writeBuild(folder: string): Promise<string> {
  const env = { ...process.env, PLAYWRIGHT_BROWSERS_PATH: join(folder, "playwright") };
  const playwright = join(import.meta.dirname, "..", "node_modules", ".bin", "playwright-core");
  const args = ["install", "--dry-run", "--no-shell", "chromium"];
  const { stdout } = await promisify(execFile)(playwright, args, { env });
  for (const [, location = ""] of stdout.matchAll(/Install location: +(.+)/g)) {
    mkdirSync(location, { recursive: true });
    writeFileSync(join(location, "INSTALLATION_COMPLETE"), "");
  }
  const [file = ""] = /chromium-\d+.*/.exec(chromium.executablePath()) ?? [];
  const program = join(folder, "playwright", file);
  mkdirSync(dirname(program), { recursive: true });
  writeFileSync(program, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  return program;
}
