import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { findProgram } from "../local/programs.ts";

const ROOT = join(import.meta.dirname, "..");
const FILES = [
  "app.yaml",
  "collections/schemas.json",
  "package-lock.json",
  "package.json",
  "subscriber.yaml",
  "tsconfig.json",
];
const ROOMS = ["api", "collections", "common", "subscriber"];
const gcloud = findProgram("gcloud");

/** Files that may be in a developer's folder and must not be uploaded. */
const STRAYS = [
  ".env",
  ".env.example",
  "key.json",
  "api/.env",
  "api/key.json",
  "common/notes.txt",
  ".local/run.env",
  "dist/api.js",
  "node_modules/x/index.js",
  "iac/platform.ts",
  "api/deeper/secret.ts",
  "api/routes/notes.txt",
  "api/console/notes.txt",
  "build/lint.ts",
  "deploy/rollout/main.ts",
  "test/support/environment.ts",
  "terraform.tfstate",
  "stacks/service/cdk.tf.json",
  ".git/config",
  ".github/x.yaml",
];

test("App Engine's build gets the sources of the two processes, and nothing else", {
  skip: gcloud ? false : "the Google Cloud SDK is not installed",
}, () => {
  const exclude = ["**/node_modules", "dist", ".local", ".git"];
  const own = globSync("**/*.{ts,js,mjs,json,yaml,html,css,sql,md}", { cwd: ROOT, exclude });
  const expected = own.filter(
    (file) =>
      FILES.includes(file) ||
      ["deploy/bundle.ts", "deploy/compile-cache.ts"].includes(file) ||
      /^api\/console\/[^/]+\.(css|html|js)$/.test(file) ||
      (ROOMS.includes(file.split("/")[0] ?? "") && /(?<!\.test)\.ts$/.test(file)),
  );
  const folder = mkdtempSync(join(tmpdir(), "upload-test-"));
  try {
    for (const file of STRAYS) {
      mkdirSync(join(folder, file, ".."), { recursive: true });
      writeFileSync(join(folder, file), "");
    }
    for (const file of [...own, ".gcloudignore"]) cpSync(join(ROOT, file), join(folder, file));
    const uploaded = execFileSync(gcloud ?? "", ["meta", "list-files-for-upload", folder], {
      encoding: "utf8",
      env: { ...process.env, CLOUDSDK_CONFIG: join(folder, ".gcloud") },
    });
    assert.deepEqual(uploaded.trim().split("\n").toSorted(), expected.toSorted());
    assert.ok(expected.length > 40);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
