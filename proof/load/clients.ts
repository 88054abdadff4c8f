import { setTimeout as sleep } from "node:timers/promises";
import { send } from "../cluster/requests.ts";
import type { Accepted } from "./count.ts";

/** One write in so many is a put on a hot item; the others create. */
const PUT_EVERY = 5;
const HOT_ITEMS = 50;
/** After an answer other than 202. */
const REFUSED_PAUSE_MS = 50;
const LIMIT_LOOK_MS = 5;

/** Clients that write until `writes` writes are accepted, and retry each one that is not. */
export class LoadClients {
  readonly accepted: Accepted[] = [];
  /** Answers other than 202, by status; 0 where none came. */
  readonly refused = new Map<number, number>();
  /** Milliseconds of the answers 202. */
  readonly answers: number[] = [];
  /** No client goes beyond this before it is raised, so that every fault has load around it. */
  limit = Number.POSITIVE_INFINITY;
  readonly #apiUrls: readonly string[];
  readonly #writes: number;
  #sent = 0;
  #claimed = 0;

  constructor(apiUrls: readonly string[], writes: number) {
    this.#apiUrls = apiUrls;
    this.#writes = writes;
  }

  async run(clients: number): Promise<void> {
    await Promise.all(Array.from({ length: clients }, () => this.#client()));
  }

  async #client(): Promise<void> {
    while (this.#claimed < this.#writes) {
      if (this.#claimed >= this.limit) {
        await sleep(LIMIT_LOOK_MS);
        continue;
      }
      this.#claimed += 1;
      while (!(await this.#write())) await sleep(REFUSED_PAUSE_MS);
    }
  }

  /** Sends one write; returns whether it was accepted. */
  async #write(): Promise<boolean> {
    const number = this.#sent;
    this.#sent += 1;
    const nombre = `tema ${number}`;
    const isPut = number % PUT_EVERY === 0;
    const startedAt = performance.now();
    const { status, body } = await send({
      method: isPut ? "PUT" : "POST",
      url: `${this.#apiUrls[number % this.#apiUrls.length]}/api/data`,
      body: isPut ? { id: `hot-${(number / PUT_EVERY) % HOT_ITEMS}`, nombre } : { nombre },
    });
    if (status !== 202) {
      this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
      return false;
    }
    const { id, write } = body as { id: string; write: string };
    this.accepted.push({ id, write, nombre });
    this.answers.push(performance.now() - startedAt);
    return true;
  }
}
