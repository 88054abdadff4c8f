import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { peakMb } from "../support/process-usage.ts";

/** App Engine's time between SIGTERM and SIGKILL. */
const TERM_TO_KILL_MS = 2_000;
/** Long enough for a machine whose cores are all busy. */
const START_DEADLINE_MS = 120_000;
/** A process that leaks runs out of memory; by default, garbage alone grows to many times this. */
const HEAP = "--max-old-space-size=192";
/** Kept of a process's output, for the report of a failed run. */
const KEPT_CHARACTERS = 2_000_000;

/** An API or a subscriber, which can be ended and started again. */
export class ClusterProcess {
  readonly name: string;
  /** The highest resident memory of any of its starts; see {@link samplePeak}. */
  peakMb = 0;
  /** How it exited when it should not have. */
  unexpectedExit: string | undefined;
  readonly #args: readonly string[];
  readonly #env: Record<string, string>;
  #child: ChildProcess | undefined;
  #isEnding = false;
  #printed: string[] = [];
  #printedCharacters = 0;

  constructor(name: string, args: readonly string[], env: Record<string, string>) {
    this.name = name;
    this.#args = args;
    this.#env = env;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The last part of what all its starts printed. */
  get output(): string {
    return this.#printed.join("").slice(-KEPT_CHARACTERS);
  }

  /** Resolves once it has logged that it started. */
  async start(): Promise<void> {
    if (this.#child) return;
    this.#isEnding = false;
    const child = spawn(process.execPath, [HEAP, ...this.#args], {
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        ...this.#env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    let printed: string | undefined = "";
    const { promise: started, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`${this.name} does not start`)),
      START_DEADLINE_MS,
    );
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#keep(text);
        if (printed === undefined) return;
        printed += text;
        if (!printed.includes(" started")) return;
        printed = undefined;
        resolve();
      });
    child.once("exit", (code, signal) => {
      this.#child = undefined;
      if (!this.#isEnding)
        this.unexpectedExit = `${this.name} exited by itself: ${signal ?? `exit code ${code}`}`;
      reject(new Error(`${this.name} exited at its start: ${printed?.slice(-2_000)}`));
    });
    await started.finally(() => clearTimeout(timer));
  }

  /** SIGKILL, or SIGTERM and SIGKILL as App Engine sends them. Returns the exit code. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (!child) return null;
    this.#isEnding = true;
    const ended = once(child, "exit");
    child.kill("SIGCONT");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), TERM_TO_KILL_MS);
    const [code] = await ended;
    clearTimeout(timer);
    return code;
  }

  samplePeak(): void {
    this.peakMb = Math.max(this.peakMb, peakMb(this.pid));
  }

  async freeze(forMs: number): Promise<void> {
    this.#child?.kill("SIGSTOP");
    await sleep(forMs);
    this.#child?.kill("SIGCONT");
  }

  /** Keeps chunks: one long string would be copied with each of them. */
  #keep(text: string): void {
    this.#printed.push(text);
    this.#printedCharacters += text.length;
    if (this.#printedCharacters < 2 * KEPT_CHARACTERS) return;
    this.#printed = [this.output];
    this.#printedCharacters = KEPT_CHARACTERS;
  }
}
