import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { findOfficialEmulator } from "../local/official-emulator.ts";
import { parseOptions } from "../ops/command-line.ts";
import { runProof } from "./support/command.ts";

const HELP = `npm run proof -- all

Runs the test files of proof/, a short form of each proof: chaos, load, soak, a restore of MySQL,
fuzz, hostile clients, outages of Pub/Sub, interrupted rollouts, the bench, the models of cost and load, MariaDB, and the
contract of Pub/Sub on the local one and, if it is installed, on Google's emulator.

  --help  this text
`;
const ROOT = join(import.meta.dirname, "..");
/** Most proofs load or kill processes of their own, so fewer run at a time than of other tests. */
const JOBS = 2;

await runProof("all", async () => {
  const { values } = parseOptions({ options: { help: { type: "boolean", default: false } } });
  return values.help ? (console.log(HELP) ?? 0) : runAll();
});

/** The exit status: 0 where every proof holds. The test runner prints how long each file took. */
function runAll(): number {
  const emulator = findOfficialEmulator();
  console.log(
    emulator
      ? `constancia: the contract of Pub/Sub is run on Google's emulator, too (${emulator})`
      : "constancia: the contract of Pub/Sub is run on the local one only, because Google's emulator is not installed",
  );
  const files = globSync("proof/**/*.test.ts", { cwd: ROOT, exclude: ["**/node_modules"] }).sort();
  const args = [join(ROOT, "local", "test.ts"), `--jobs=${JOBS}`, ...files];
  const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: "inherit" });
  return status ?? 1;
}
