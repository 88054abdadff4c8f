import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";
import { ENVIRONMENTS } from "../../iac/environments.ts";
import { getStateBucketName } from "../../iac/names.ts";
import { describeCost } from "../../proof/scale/cost.ts";

const ROOT = new URL("../../", import.meta.url);
const DOCUMENT = readFileSync(new URL("docs/deploy.md", ROOT), "utf8");
const COMMANDS = [...DOCUMENT.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block = ""]) =>
  block.trim().split("\n"),
);

test("docs/deploy.md has the computed cost", () => {
  const [, table] = /<!-- cost -->\n\n(.*?)\n\n<!-- \/cost -->/s.exec(DOCUMENT) ?? [];
  assert.equal(table, describeCost());
});

test("docs/deploy.md names the project, the region and the bucket of iac/", () => {
  const { projectId, region } = ENVIRONMENTS.production ?? assert.fail();
  const projects = COMMANDS.join("\n").matchAll(/--project=(\S+)/g);
  for (const [, named] of projects) assert.equal(named, projectId);
  const bucket = COMMANDS.find((command) => command.includes("buckets create")) ?? "";
  assert.ok(bucket.includes(`gs://${getStateBucketName(projectId)} `));
  assert.ok(bucket.includes(`--location=${region} `));
});

test("the npm scripts of docs/deploy.md exist, and its synthesis succeeds", () => {
  const scripts = [...DOCUMENT.matchAll(/npm run ([a-z:-]+)/g)].map(([, name]) => name);
  const { scripts: known } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8"));
  for (const name of scripts) assert.ok(name && name in known, `npm run ${name}`);
  const synth = COMMANDS.find((command) => command.includes("npm run synth")) ?? "";
  const { status, stdout } = spawnSync("bash", ["-c", synth.replace("npm install && ", "")], {
    cwd: ROOT,
    encoding: "utf8",
  });
  assert.equal(status, 0);
  const folders = COMMANDS.join("\n").matchAll(/-chdir=(\S+)/g);
  for (const [, folder] of folders) assert.ok(stdout.includes(`${folder}/cdk.tf.json`), folder);
});
