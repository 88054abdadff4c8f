import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const HELP = `npm run proof -- fuzz-messages [options]

Arbitrary messages on the topic, 40 and 8 good ones a run: each must end settled or dead, and the
good ones applied. Brings its own MySQL and Pub/Sub.

  --runs N   so many runs (default: 1000)
  --seed N   of what is published (default: 1); a failure prints its own
  --help     this text
`;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) console.log(HELP);
else {
  const root = join(import.meta.dirname, "..", "..");
  const args = [join(root, "local", "test.ts"), join("test", "fuzz-messages.test.ts")];
  const env = { ...process.env, FUZZ_RUNS: values.runs, FUZZ_SEED: values.seed };
  process.exitCode = spawnSync(process.execPath, args, { env, stdio: "inherit" }).status ?? 1;
}
