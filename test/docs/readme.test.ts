import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import test, { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describeVariables } from "../../common/config.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";

const ROOT = new URL("../../", import.meta.url);
const README = readFileSync(new URL("README.md", ROOT), "utf8");

test("the README has the table of the variables as they are", () => {
  const [, table] = /<!-- variables -->\n\n(.*?)\n\n<!-- \/variables -->/s.exec(README) ?? [];
  assert.equal(table, describeVariables());
});

test("the documents link to files that exist", () => {
  for (const document of globSync(["*.md", "docs/**/*.md"], { cwd: ROOT })) {
    const folder = new URL(document, ROOT);
    const text = readFileSync(folder, "utf8");
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
      assert.ok(existsSync(new URL(target, folder)), `${document} links to ${target}`);
  }
});

test("the documents name commands that exist", () => {
  const { scripts } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8"));
  const help = ["ops", "proof"].map((room): [string, string] => {
    const program = fileURLToPath(new URL(`${room}/main.ts`, ROOT));
    return [room, spawnSync(process.execPath, [program, "--help"], { encoding: "utf8" }).stdout];
  });
  const commands = new Map(help);
  // The changelog also names what was there before.
  for (const document of globSync(["*.md", "docs/**/*.md"], {
    cwd: ROOT,
    exclude: ["CHANGELOG.md"],
  }))
    for (const [, script = "", name] of readFileSync(new URL(document, ROOT), "utf8").matchAll(
      /npm run ([a-z][a-z:-]*)(?: -- ([a-z][a-z-]*))?/g,
    )) {
      assert.ok(script in scripts, `${document}: npm run ${script}`);
      const list = commands.get(script);
      if (list && name)
        assert.match(
          list,
          new RegExp(`^  ${name} `, "m"),
          `${document}: npm run ${script} -- ${name}`,
        );
    }
});

describe("the README's tour", () => {
  let environment: TestEnvironment;

  before(async () => {
    environment = await createTestEnvironment();
    await environment.startSubscriber();
  });
  after(() => environment.close());

  const skip = spawnSync("curl", ["--version"]).error && "there is no curl";
  it("is answered as its comments say", { skip }, async () => {
    const { url } = await environment.startApi();
    const [, tour = ""] = /## A tour\n(.*?)\n## /s.exec(README) ?? [];
    const script = [...tour.matchAll(/```sh\n(.*?)```/gs)].map(([, lines]) => lines).join("");
    const said = [...script.matchAll(/# (\d{3})$/gm)].map(([, status]) => status);
    assert.ok(said.length > 15);
    // Each status is written beside the answer, which some lines go on to use.
    const curl = `curl() { command curl -s --max-time 60 -w '%{stderr}%{http_code}\\n' "$@"; }`;
    // A busy machine may take longer to settle a write than a reader would wait.
    const patient = script.replaceAll("Prefer: wait=5", "Prefer: wait=30");
    const { stderr } = await promisify(execFile)("bash", [
      "--norc",
      "-euo",
      "pipefail",
      "-c",
      `${curl}\n${patient.replaceAll("localhost:8080", url.replace("http://", ""))}`,
    ]);
    assert.deepEqual(stderr.trim().split("\n"), said);
  });

  it("shows the errors of an item as the API answers them", async () => {
    const { url } = await environment.startApi();
    const [, body = "", shown = ""] =
      /-d '(\{"name":[^']*)' # 422\n```\n\n```json\n(.*?)```/s.exec(README) ?? [];
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/api/data`, { method: "POST", headers, body });
    assert.deepEqual(await answer.json(), JSON.parse(shown));
  });
});
