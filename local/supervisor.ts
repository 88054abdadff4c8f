import type { LocalProcess, Say } from "./processes.ts";
import type { RunFile } from "./run-file.ts";

/** npm forwards a Ctrl-C that the terminal has sent to this process already. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Keeps the processes that were started, and stops them in the reverse order. Other steps of the
 * stop, such as waiting for the backlog, are run in the same order.
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

  /** Adds a process as soon as it runs. */
  add(process: LocalProcess): void {
    this.#processes.push(process);
    this.#runFile.recordProcess(process);
    this.#steps.push(() => process.stop());
    if (this.#stoppingSince !== undefined) process.kill();
  }

  /** Adds a step that runs once everything added later has stopped. */
  addStep(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  /** Resolves once any of the processes has ended, with its name and how it ended. */
  async firstEnd(): Promise<string> {
    const ends = this.#processes.map(async ({ name, exited }) => `${name} ${await exited}`);
    return Promise.race(ends);
  }

  /** Stops everything, then ends this process. */
  async stop(exitCode: number, message?: string): Promise<void> {
    if (this.#stoppingSince !== undefined) return;
    this.#stoppingSince = Date.now();
    this.#runFile.recordStopping();
    for (const step of this.#steps.reverse()) {
      await step().catch((error: Error) => this.#say(error.message));
    }
    this.#runFile.release();
    if (message) this.#say(message);
    process.exit(exitCode);
  }

  /** As `stop`; called a second time, it kills everything. */
  async interrupt(exitCode: number, message?: string): Promise<void> {
    const sinceMs = Date.now() - (this.#stoppingSince ?? Date.now());
    if (sinceMs > SAME_SIGNAL_MS) this.#killAll();
    await this.stop(exitCode, message);
  }

  #killAll(): void {
    for (const process of this.#processes) process.kill();
    this.#runFile.release();
    this.#say("killed everything");
    process.exit(130);
  }
}
