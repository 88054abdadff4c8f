import { join } from "node:path";
import { type Command, runCommand } from "../ops/run-command.ts";

const program = (...path: string[]) => join(import.meta.dirname, ...path);

const COMMANDS: Record<string, Command> = {
  all: { program: program("all.ts"), does: "a short form of each proof, as CI runs them" },
  chaos: {
    program: program("chaos", "main.ts"),
    does: "faults by a seed, then every promise is checked",
  },
  load: {
    program: program("load", "main.ts"),
    does: "100,000 writes while every process is killed once",
  },
  soak: {
    program: program("soak", "main.ts"),
    does: "half of the capacity for an hour, with a fault each minute",
  },
  restore: {
    program: program("restore", "main.ts"),
    does: "MySQL loses its last minute, and every accepted write is settled again",
  },
  fuzz: { program: program("fuzz", "main.ts"), does: "arbitrary requests and bytes to the API" },
  "fuzz-messages": {
    program: program("fuzz", "messages-main.ts"),
    does: "arbitrary messages on the topic",
  },
  hostile: {
    program: program("hostile", "main.ts"),
    does: "latency of well-behaved clients beside hostile ones",
  },
  mariadb: {
    program: program("mariadb", "main.ts"),
    does: "the tests of settling, reading and the tables, on MariaDB",
  },
  mutants: {
    program: program("mutants", "main.ts"),
    does: "whether the tests notice a change to the code, place by place",
  },
  plots: {
    program: program("bench", "plots.ts"),
    does: "the plots and tables of the documents, from the bench's report",
  },
  cost: { program: program("scale", "cost.ts"), does: "what writes cost on Google Cloud" },
  simulate: { program: program("scale", "simulate.ts"), does: "how a load curve is settled" },
};

process.exitCode = await runCommand("proof", COMMANDS, process.argv.slice(2));
