import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { runProof } from "../support/command.ts";

const HELP = `npm run proof -- fuzz-messages [options]

Publishes arbitrary messages, 40 and 8 good ones a run: each must end settled or dead, and the good
ones applied. Starts its own MySQL and Pub/Sub.

  --runs N   the number of runs (default: 1000)
  --seed N   of the messages (default: 1); a failure prints its own
  --help     show this text
`;

await runProof("fuzz-messages", async () => {
  const { values } = parseOptions({
    options: {
      runs: { type: "string", default: "1000" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const env = {
    ...process.env,
    FUZZ_RUNS: String(readInteger("runs", values.runs)),
    FUZZ_SEED: String(readInteger("seed", values.seed, { min: 0 })),
  };
  const root = join(import.meta.dirname, "..", "..");
  const args = [join(root, "local", "test.ts"), "proof/fuzz/messages.test.ts"];
  return spawnSync(process.execPath, args, { cwd: root, env, stdio: "inherit" }).status ?? 1;
});
