import { parseOptions, readInteger, UsageError } from "../ops/command-line.ts";
import { ENGINES } from "./mysql-packages.ts";
import { PUBSUB_KINDS } from "./pubsub.ts";

/** Many tests wait more than they work, so more files run at a time than there are cores. */
const DEFAULT_JOBS = 6;
export const HELP = `npm test -- [options] [FILE …]

Runs the test files, or all but those of proof/, on a MySQL and a Pub/Sub of their own, which are
removed afterwards.

  --check     runs npm run check first, and stops where it fails (npm test does)
  --coverage  counts the lines that were run, and fails where they are too few
  --jobs N    files at a time (default: ${DEFAULT_JOBS})
  --help      this text

MYSQL_URL and PUBSUB_EMULATOR_HOST, if set, name servers to use instead. TEST_ENGINE=mariadb runs
the tests on MariaDB, TEST_PUBSUB=emulator on Google's emulator.
`;

export type TestOptions = ReturnType<typeof readTestOptions>;

/** Reads the command line of `npm test`; throws a UsageError where it is wrong. */
export function readTestOptions() {
  const { values, positionals } = parseOptions({
    allowPositionals: true,
    options: {
      check: { type: "boolean", default: false },
      coverage: { type: "boolean", default: false },
      jobs: { type: "string", default: String(DEFAULT_JOBS) },
      help: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    files: positionals,
    jobs: readInteger("jobs", values.jobs),
    engine: readVariable("TEST_ENGINE", ENGINES),
    pubsub: readVariable("TEST_PUBSUB", PUBSUB_KINDS),
  };
}

/** The variable's value, or the first choice where it is not set. */
function readVariable<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
  const value = process.env[name] || choices[0];
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new UsageError(`${name} must be ${choices.join(" or ")}, not "${value}".`);
}
