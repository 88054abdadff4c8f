import { setTimeout as sleep } from "node:timers/promises";
import type { Accepted } from "./load-count.ts";
import { send } from "./requests.ts";
import type { Stage } from "./stage.ts";

/** One in so many is a put on a hot item; the others create. */
const PUT_EVERY = 5;
const HOT_ITEMS = 50;
/** After an answer that is no 202. */
const REFUSED_PAUSE_MS = 50;
const LIMIT_LOOK_MS = 5;
/** Clients that write until as many writes are accepted as are wanted; what is refused, anew. */
export class Load {
  readonly accepted: Accepted[] = [];
  /** Answers other than 202, by status; 0 where there was none. */
  readonly refused = new Map<number, number>();
  /** Milliseconds of the answers 202. */
  readonly answers: number[] = [];
  fault = "";
  /** No client goes beyond so many writes before it is raised: a short load waits for its faults. */
  limit = Number.POSITIVE_INFINITY;
  readonly #stage: Stage;
  readonly #writes: number;
  #sent = 0;
  #claimed = 0;

  constructor(stage: Stage, writes: number) {
    this.#stage = stage;
    this.#writes = writes;
  }

  async client(): Promise<void> {
    while (this.#claimed < this.#writes) {
      if (this.#claimed >= this.limit) {
        await sleep(LIMIT_LOOK_MS);
        continue;
      }
      this.#claimed += 1;
      while (!(await this.#write())) await sleep(REFUSED_PAUSE_MS);
    }
  }

  /** One write; whether it was accepted. */
  async #write(): Promise<boolean> {
    const number = this.#sent;
    this.#sent += 1;
    const nombre = `tema ${number}`;
    const isPut = number % PUT_EVERY === 0;
    const startedAt = performance.now();
    const { status, body } = await send({
      method: isPut ? "PUT" : "POST",
      url: `${this.#stage.apiUrls[(number % 2) as 0 | 1]}/api/data`,
      body: isPut ? { id: `hot-${(number / PUT_EVERY) % HOT_ITEMS}`, nombre } : { nombre },
    });
    if (status === 202) {
      const { id, write } = body as { id: string; write: string };
      this.accepted.push({ id, write, nombre });
      this.answers.push(performance.now() - startedAt);
      return true;
    }
    this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
    return false;
  }
}
