import { setTimeout as sleep } from "node:timers/promises";
import { type LocalPubsubOptions, startLocalPubsub } from "../../local/local-pubsub.ts";
import { findAnyPort } from "../../local/ports.ts";
import type { LocalProcess } from "../../local/processes.ts";
import type { Rates } from "../../local/pubsub/faults.ts";

/** The backlog is empty once it was found empty so often in a row. */
const EMPTY_IN_A_ROW = 3;
const POLL_MS = 150;

/** A local Pub/Sub that keeps its messages when it is killed. */
export class PubsubServer {
  readonly host: string;
  readonly controlUrl: string;
  readonly #options: LocalPubsubOptions;
  #process: LocalProcess;

  static async start(folder: string, seed: number): Promise<PubsubServer> {
    const [port, controlPort] = [await findAnyPort(), await findAnyPort()];
    const args = [`--seed=${seed}`];
    const logFile = `${folder}.log`;
    const options = { port, controlPort, folder, logFile, args, say: () => {} };
    return new PubsubServer(options, await startServer(options));
  }

  private constructor(options: LocalPubsubOptions, process: LocalProcess) {
    this.#options = options;
    this.#process = process;
    this.host = `127.0.0.1:${options.port}`;
    this.controlUrl = `http://127.0.0.1:${options.controlPort}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async kill(): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }

  async restart(): Promise<void> {
    this.#process = await startServer(this.#options);
  }

  async freeze(forMs: number): Promise<void> {
    const { pid } = this;
    process.kill(pid, "SIGSTOP");
    await sleep(forMs);
    process.kill(pid, "SIGCONT");
  }

  async injectFaults(rates: Rates): Promise<void> {
    await fetch(`${this.controlUrl}/faults`, { method: "PUT", body: JSON.stringify(rates) });
  }

  async clearFaults(): Promise<void> {
    await fetch(`${this.controlUrl}/faults`, { method: "DELETE" });
  }

  /** Unacknowledged messages of all subscriptions. */
  async countBacklog(): Promise<number> {
    const response = await fetch(`${this.controlUrl}/backlog`);
    const sizes = (await response.json()) as Record<string, number>;
    return Object.values(sizes).reduce((sum, size) => sum + size, 0);
  }

  /**
   * Resolves once the backlog was empty several times in a row, since a message may be on its way
   * between two subscriptions. Throws after `deadlineMs`.
   */
  async waitUntilEmpty(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    for (let empty = 0; empty < EMPTY_IN_A_ROW; ) {
      const backlog = await this.countBacklog();
      empty = backlog === 0 ? empty + 1 : 0;
      if (performance.now() > deadline)
        throw new Error(`${backlog} messages are still unsettled after ${deadlineMs} ms`);
      await sleep(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

async function startServer(options: LocalPubsubOptions): Promise<LocalProcess> {
  let started: LocalProcess | undefined;
  await startLocalPubsub({
    ...options,
    onStart(one) {
      started = one;
    },
  });
  return started as LocalProcess;
}
