import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosCluster } from "../cluster/chaos-cluster.ts";
import type { Ledger } from "../cluster/ledger.ts";
import { type Call, send } from "../cluster/requests.ts";

/** Few, so that both writers are often at the same one. */
const CONTESTED_ITEMS = 4;
/** Of a writer's turns, one in so many deletes. */
const DELETE_EVERY = 9;
/** Of the third writer's turns, one in so many puts the item that was created so many creates ago. */
const REVISIT_EVERY = 5;
const REVISITED_TURNS = 40;
const PAUSE_MS = { next: 5, failure: 100 };

/** Two writers of the same items, each through an API of its own, and one that creates. */
export class Writers {
  readonly #cluster: ChaosCluster;
  readonly #ledger: Ledger;
  readonly #created: string[] = [];
  #isOver = false;

  constructor(cluster: ChaosCluster, ledger: Ledger) {
    this.#cluster = cluster;
    this.#ledger = ledger;
  }

  /** Writes until `stop`. */
  async run(): Promise<void> {
    const [first, second] = this.#cluster.apiUrls;
    await Promise.all([
      this.#repeat((turn) => this.#contest(first, turn)),
      this.#repeat((turn) => this.#contest(second, turn)),
      this.#repeat((turn) => this.#create(turn % 2 === 0 ? first : second, turn)),
    ]);
  }

  stop(): void {
    this.#isOver = true;
  }

  async #repeat(take: (turn: number) => Promise<boolean>): Promise<void> {
    for (let turn = 0; !this.#isOver; turn += 1)
      await sleep((await take(turn)) ? PAUSE_MS.next : PAUSE_MS.failure);
  }

  /** Puts or deletes an item, every other time only at the version that it had just now. */
  async #contest(api: string, turn: number): Promise<boolean> {
    const url = `${api}/api/data/contested-${turn % CONTESTED_ITEMS}`;
    const body = { nombre: `${api} ${turn}` };
    const isRead = Math.floor(turn / CONTESTED_ITEMS) % 2 === 1;
    const read = isRead ? await send({ method: "GET", url }) : undefined;
    const headers: Record<string, string> =
      read?.status === 200 ? { "if-match": String(read.headers.etag) } : {};
    if (turn % DELETE_EVERY === 0) return this.#write({ method: "DELETE", url, headers });
    return this.#write({ method: "PUT", url, body, headers });
  }

  /** Creates an item, or puts one that was created some turns ago, perhaps before a restore. */
  #create(api: string, turn: number): Promise<boolean> {
    const earlier = this.#created.at(-REVISITED_TURNS);
    if (turn % REVISIT_EVERY === 0 && earlier !== undefined) {
      const url = `${api}/api/data/${earlier}`;
      return this.#write({ method: "PUT", url, body: { nombre: `again ${turn}` } });
    }
    return this.#write({ method: "POST", url: `${api}/api/data`, body: { nombre: `n ${turn}` } });
  }

  /** Returns whether the API answered; a condition may be known not to hold. */
  async #write(call: Call): Promise<boolean> {
    const { status, body } = await send(call);
    this.#ledger.count(status);
    if (status === 202) {
      const { write, id, receipt } = body as Record<"write" | "id" | "receipt", string>;
      this.#ledger.accept(write, id, receipt);
      if (call.method === "POST") this.#created.push(id);
    } else if (status !== 0 && status !== 412 && status !== 503)
      this.#ledger.violations.push(`${call.method} was answered ${status}`);
    return status === 202 || status === 412;
  }
}
