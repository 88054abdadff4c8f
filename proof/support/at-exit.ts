import { rmSync } from "node:fs";
import type { LocalProcess } from "../../local/processes.ts";

const kills = new Set<() => void>();

process.on("exit", () => {
  for (const kill of kills) kill();
});

/** Calls `kill` when this process exits. Returns a function that takes it off the list. */
export function killAtExit(kill: () => void): () => void {
  kills.add(kill);
  return () => kills.delete(kill);
}

/** Kills a process of `local/` when this process exits. */
export function killProcessAtExit(running: LocalProcess): void {
  const forget = killAtExit(running.kill);
  running.exited.then(forget);
}

/** On a signal: removes the folder and exits, which kills what is still running. */
export function exitOnSignals(folder: string): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(130);
    });
}
