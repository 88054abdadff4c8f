import { rmSync } from "node:fs";
import type { LocalProcess } from "../../local/processes.ts";

/** What still runs, and must not outlive this process. */
const kills = new Set<() => void>();

process.on("exit", () => {
  for (const kill of kills) kill();
});

/** Kills it at the end, however that comes; returns what to call once it has ended by itself. */
export function killAtExit(kill: () => void): () => void {
  kills.add(kill);
  return () => kills.delete(kill);
}

/** The same for a process of `local/`. */
export function killProcessAtExit(running: LocalProcess): void {
  const forget = killAtExit(running.kill);
  running.exited.then(forget);
}

/** A signal removes the folder and ends all; a second one, too, finds a handler (docs/traps.md). */
export function endAtSignals(folder: string): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(130);
    });
}
