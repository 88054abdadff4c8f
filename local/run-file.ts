import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { endLeftover, isRunning, type LocalProcess, type Say } from "./processes.ts";

type Run = {
  /** The supervisor. */
  pid: number;
  mark: string;
  address?: string;
  isStopping?: boolean;
  processes: Pick<LocalProcess, "name" | "pid" | "mark">[];
};

/** Another supervisor runs on the same file. */
export class AlreadyRunning extends Error {
  constructor({ pid, address, isStopping }: Run) {
    super(
      isStopping
        ? `Constancia is stopping (process ${pid}); start it again once that has ended`
        : address
          ? `Constancia is already running at ${address} (process ${pid})`
          : `Constancia is already starting (process ${pid})`,
    );
  }
}

/**
 * The file that says which supervisor runs and what it has started, so that a second one refuses
 * to start, and a later one can end what a killed one left behind.
 */
export class RunFile {
  readonly #path: string;
  readonly #run: Run;

  private constructor(path: string, run: Run) {
    this.#path = path;
    this.#run = run;
  }

  /** Creates the file, after ending what a supervisor that was killed has left running. */
  static async claim(path: string, mark: string, say: Say): Promise<RunFile> {
    for (;;) {
      const run: Run = { pid: process.pid, mark, processes: [] };
      if (create(path, run)) return new RunFile(path, run);
      const earlier = read(path);
      if (earlier && isRunning(earlier)) throw new AlreadyRunning(earlier);
      await endLeftovers(path, say);
    }
  }

  recordProcess({ name, pid, mark }: LocalProcess): void {
    this.#run.processes.push({ name, pid, mark });
    this.#write();
  }

  recordAddress(address: string): void {
    this.#run.address = address;
    this.#write();
  }

  recordStopping(): void {
    this.#run.isStopping = true;
    this.#write();
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }

  #write(): void {
    const draft = `${this.#path}.${process.pid}`;
    writeFileSync(draft, JSON.stringify(this.#run, null, 2));
    renameSync(draft, this.#path);
  }
}

/** Ends what the supervisor of this file, which was killed, left running; removes the file. */
export async function endLeftovers(path: string, say: Say): Promise<void> {
  for (const leftover of read(path)?.processes.reverse() ?? []) {
    if (!isRunning(leftover)) continue;
    say(`ending ${leftover.name} (process ${leftover.pid}), left by a run that was killed`);
    await endLeftover(leftover);
  }
  rmSync(path, { force: true });
}

/** A link, unlike a write, appears with its contents, and only where there is no file. */
function create(path: string, run: Run): boolean {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(run, null, 2));
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  } finally {
    rmSync(draft);
  }
}

function read(path: string): Run | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
