import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";

/* The short form of each proof: the test files of this wing. */
const ROOT = join(import.meta.dirname, "..");
const files = globSync("proof/**/*.test.ts", { cwd: ROOT, exclude: ["**/node_modules"] }).sort();
const { status } = spawnSync(process.execPath, [join(ROOT, "local", "test.ts"), ...files], {
  cwd: ROOT,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
