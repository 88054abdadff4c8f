import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, runCommand } from "./run-command.ts";

/** While `npm start` runs, this file has the addresses of its servers. */
const RUN_ENV = join(import.meta.dirname, "..", ".local", "run.env");

const COMMANDS: Record<string, Command> = {
  audit: {
    program: join(import.meta.dirname, "audit", "main.ts"),
    does: "name every accepted write without a receipt",
  },
  "audit-cloud": {
    program: join(import.meta.dirname, "audit-cloud.sh"),
    does: "audit an environment on Google Cloud, and log the result there",
  },
  "dead-letters": {
    program: join(import.meta.dirname, "dead-letters.ts"),
    does: "list, show and replay the messages that could not be settled",
  },
  keys: {
    program: join(import.meta.dirname, "keys", "main.ts"),
    does: "create, rotate and remove API keys of an environment on Google Cloud",
  },
  migrate: {
    program: join(import.meta.dirname, "migrate.ts"),
    does: "run the migrations that have not run yet",
  },
  restore: {
    program: join(import.meta.dirname, "restore", "main.ts"),
    does: "settle again what a restore of MySQL to an earlier time has lost",
  },
  schemas: {
    program: join(import.meta.dirname, "schemas.ts"),
    does: "number the declarations of the collections, after one has changed",
  },
  "verify-cloud": {
    program: join(import.meta.dirname, "verify-cloud", "main.ts"),
    does: "ask a deployed environment what was not verified on Google Cloud",
  },
};

if (existsSync(RUN_ENV)) process.loadEnvFile(RUN_ENV);
process.exitCode = await runCommand("ops", COMMANDS, process.argv.slice(2));
