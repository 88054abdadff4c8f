import { join } from "node:path";
import { type Command, runCommand } from "../ops/run-command.ts";

const program = (...path: string[]) => join(import.meta.dirname, ...path);

const COMMANDS: Record<string, Command> = {
  all: { program: program("all.ts"), does: "a short form of each proof, as CI runs them" },
  chaos: {
    program: program("chaos", "main.ts"),
    does: "faults by seed, then every promise checked",
  },
  load: {
    program: program("chaos", "load.ts"),
    does: "100,000 writes with a kill of every process",
  },
  soak: { program: program("soak", "soak.ts"), does: "half load for an hour, a fault each minute" },
  fuzz: { program: program("fuzz", "fuzz.ts"), does: "hostile requests and bytes at the API" },
  "fuzz-messages": {
    program: program("fuzz", "fuzz-messages.ts"),
    does: "arbitrary messages on the topic",
  },
  hostile: {
    program: program("fuzz", "hostile.ts"),
    does: "latency of well-behaved clients beside a hostile crowd",
  },
  pubsub: {
    program: program("bench", "pubsub.ts"),
    does: "messages a second of the local Pub/Sub and of the emulator",
  },
  plots: {
    program: program("bench", "plots.ts"),
    does: "the plots and tables of the documents, from the bench's report",
  },
  cost: { program: program("scale", "cost.ts"), does: "what writes cost on Google Cloud" },
  simulate: { program: program("scale", "simulate.ts"), does: "how a load curve is settled" },
};

process.exitCode = await runCommand("proof", COMMANDS, process.argv.slice(2));
