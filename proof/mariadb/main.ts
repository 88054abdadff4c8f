import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { parseOptions } from "../../ops/command-line.ts";
import { runProof } from "../support/command.ts";

const HELP = `npm run proof -- mariadb [options]

Runs the tests of settling, reading and the tables on MariaDB instead of MySQL.

  --help  show this text
`;

const ROOT = join(import.meta.dirname, "..", "..");
/** The tests that depend on the database; those of pulling, pushing and outages do not. */
const TESTS = [
  "common/{expiry-reads,schema-check}.test.ts",
  "subscriber/retention.test.ts",
  "common/feeds.test.ts",
  "test/http/{changes,pages,reads}.test.ts",
  "test/settling/!(outages|pull|push)*.test.ts",
];

await runProof("mariadb", async () => {
  const { values } = parseOptions({ options: { help: { type: "boolean", default: false } } });
  if (values.help) return console.log(HELP) ?? 0;
  const files = TESTS.flatMap((pattern) => {
    const found = globSync(pattern, { cwd: ROOT });
    if (found.length === 0) throw new Error(`No test is named like ${pattern}.`);
    return found.sort();
  });
  const env: NodeJS.ProcessEnv = { ...process.env, TEST_ENGINE: "mariadb" };
  // A MySQL that is given would be used instead.
  delete env.MYSQL_URL;
  // Within a test, Node's test runner would skip the files.
  delete env.NODE_TEST_CONTEXT;
  const { status } = spawnSync(process.execPath, [join(ROOT, "local", "test.ts"), ...files], {
    cwd: ROOT,
    env,
    stdio: "inherit",
  });
  return status ?? 1;
});
