import type { LocalProcess, Say } from "./processes.ts";
import type { RunFile } from "./run-file.ts";

/** npm passes on a Ctrl-C that the terminal has sent us already: the same one, seen twice. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Keeps what was started, and stops it in the reverse order. Steps in between, such as waiting
 * for the backlog, have their place in the same order.
 */
export class Supervisor {
  readonly #runFile: RunFile;
  readonly #say: Say;
  readonly #processes: LocalProcess[] = [];
  readonly #steps: (() => Promise<unknown>)[] = [];
  #stoppingSince: number | undefined;

  constructor(runFile: RunFile, say: Say) {
    this.#runFile = runFile;
    this.#say = say;
  }

  /** Takes over a process as soon as it runs. */
  add(process: LocalProcess): void {
    this.#processes.push(process);
    this.#runFile.recordProcess(process);
    this.#steps.push(() => process.stop());
    if (this.#stoppingSince !== undefined) process.kill();
  }

  /** Runs when everything that was added later has stopped. */
  addStep(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  /** Resolves with who ended and how, once any of the processes has. */
  async firstEnd(): Promise<string> {
    const ends = this.#processes.map(async ({ name, exited }) => `${name} ${await exited}`);
    return Promise.race(ends);
  }

  /** Stops everything, then ends this process. */
  async stop(exitCode: number, lastWords?: string): Promise<void> {
    if (this.#stoppingSince !== undefined) return;
    this.#stoppingSince = Date.now();
    for (const step of this.#steps.reverse()) {
      await step().catch((error: Error) => this.#say(error.message));
    }
    this.#runFile.release();
    if (lastWords) this.#say(lastWords);
    process.exit(exitCode);
  }

  /** As `stop`; asked a second time, it stops waiting and kills. */
  async interrupt(exitCode: number, lastWords?: string): Promise<void> {
    const sinceMs = Date.now() - (this.#stoppingSince ?? Date.now());
    if (sinceMs > SAME_SIGNAL_MS) this.#killAll();
    await this.stop(exitCode, lastWords);
  }

  #killAll(): void {
    for (const process of this.#processes) process.kill();
    this.#runFile.release();
    this.#say("killed everything");
    process.exit(130);
  }
}
