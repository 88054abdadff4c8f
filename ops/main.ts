import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, runCommand } from "./run-command.ts";

/** Where a running `npm start` keeps the addresses of its servers. */
const RUN_ENV = join(import.meta.dirname, "..", ".local", "run.env");

const COMMANDS: Record<string, Command> = {
  "dead-letters": {
    program: join(import.meta.dirname, "dead-letters.ts"),
    does: "list, show and replay the messages that could not be settled",
  },
  audit: {
    program: join(import.meta.dirname, "audit", "command.ts"),
    does: "name every accepted write without a receipt",
  },
  "audit-cloud": {
    program: join(import.meta.dirname, "audit-cloud.sh"),
    does: "the same for a project on Google Cloud, with its result in the project's log",
  },
  migrate: {
    program: join(import.meta.dirname, "migrate.ts"),
    does: "run the migrations that have not run yet",
  },
};

if (existsSync(RUN_ENV)) process.loadEnvFile(RUN_ENV);
process.exitCode = await runCommand("ops", COMMANDS, process.argv.slice(2));
