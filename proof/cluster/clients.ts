import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "../../local/pubsub/faults.ts";
import { showKey } from "../../test/support/keys.ts";
import { SUBJECTS } from "../support/owned.ts";
import { buildCall, buildGarbage, drawKind } from "./calls.ts";
import type { ChaosCluster } from "./chaos-cluster.ts";
import type { Ledger } from "./ledger.ts";
import { type Answer, type Call, send } from "./requests.ts";

export type ClientOptions = {
  clients: number;
  /** Items that all clients write to. */
  hotItems: number;
  /** A prefix for the names of this run's items. */
  prefix: string;
  /** Between two requests of a client; `draw` is from 0 to 1. */
  pause(draw: number): Promise<unknown>;
  /** Called after each answer 202, with the time that it took. */
  onAccepted(ms: number): void;
};

/** The longest pause of a client, so that the faults get some of the processors too. */
const PAUSE_MS = 30;
const DEFAULTS: ClientOptions = {
  /** As many as keep two cores busy beside the rest of the cluster. */
  clients: 12,
  hotItems: 12,
  prefix: "",
  pause: (draw) => sleep(draw * PAUSE_MS),
  onAccepted: () => {},
};
/** After a refused connection, while its process is down. */
const REFUSED_PAUSE_MS = 100;
/** Attempts of a keyed create, which is retried while it may or may not have been accepted. */
const KEYED_TRIES = 4;
/** Receipts that are asked for again and again meanwhile, a second. */
const READS_PER_SECOND = 40;
/** Receipts that are asked for at once when all is settled. */
const READS_AT_ONCE = 16;
/** The share of writes, and of reads after a write, whose clients wait. */
const WAIT_SHARE = 0.25;
/** The share of keyed creates whose clients do not wait for an answer before they try again. */
const IMPATIENT_SHARE = 0.5;
const IMPATIENT_TRIES = 6;
const IMPATIENT_PAUSE_MS = 4;
/** The statuses of the contract; 0 where there was no answer. */
const EXPECTED_OF_READS = new Set([0, 200, 304, 404, 410, 503]);
const EXPECTED_OF_WRITES = new Set([0, 200, 201, 202, 204, 207, 409, 410, 412, 422, 503]);
/** Where items have owners. */
const EXPECTED_OF_OWNERS = new Set([...EXPECTED_OF_WRITES, 403, 404]);

type Draws = [number, number, number, number, number, number];

/** Clients by a seed: their n-th request is always the same, except for versions that they name. */
export class Clients {
  readonly #cluster: ChaosCluster;
  readonly #ledger: Ledger;
  readonly #seed: number;
  readonly #options: ClientOptions;
  /** The newest confirmed write of each item. */
  readonly #versions = new Map<string, string>();
  #isOver = false;

  constructor(
    cluster: ChaosCluster,
    ledger: Ledger,
    seed: number,
    options: Partial<ClientOptions> = {},
  ) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    this.#seed = seed;
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Writes until `stop`. */
  async run(): Promise<void> {
    const { clients: count } = this.#options;
    const clients = Array.from({ length: count }, (_, number) => this.#client(number));
    await Promise.all([...clients, this.#watchReceipts()]);
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Asks for the receipt of every n-th write; a write without one is a violation. */
  async checkReceipts(every = 1): Promise<void> {
    const { confirmed, violations } = this.#ledger;
    const writes = [...confirmed.keys()].filter((_, place) => place % every === 0).values();
    const reader = async (_: unknown, number: number) => {
      for (const write of writes) {
        await this.#readReceipt(write, number / READS_AT_ONCE);
        if (!confirmed.get(write)?.isShown)
          violations.push(`the write ${write} has no receipt at the API`);
      }
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, reader));
  }

  async #client(number: number): Promise<void> {
    const random = createRandom(`client ${this.#seed} ${number}`);
    const key = this.#cluster.isOwned ? showKey(SUBJECTS[number % SUBJECTS.length] as string) : {};
    for (let count = 0; !this.#isOver; count += 1) {
      // All numbers are drawn at once, so that an answer does not change the next request.
      const draws = Array.from({ length: 6 }, random) as Draws;
      await this.#act(draws, `${this.#options.prefix}${number}.${count}`, key);
      await this.#options.pause(draws[5]);
    }
  }

  async #act(
    [kindDraw, apiDraw, itemDraw, waitDraw, moreDraw]: Draws,
    name: string,
    key: Record<string, string>,
  ): Promise<void> {
    const kind = drawKind(kindDraw);
    const { isOwned } = this.#cluster;
    const collection = `${this.#getUrl(apiDraw)}/api/data`;
    const item = this.#hotItem(Math.floor(itemDraw * this.#options.hotItems));
    const version = this.#versions.get(item);
    const wait: Record<string, string> =
      waitDraw < WAIT_SHARE ? { prefer: `wait=${1 + Math.floor(moreDraw * 3)}` } : {};
    const prefer = { ...key, ...wait };
    const order = moreDraw < 0.5 ? ("asc" as const) : ("desc" as const);
    const of = { collection, item, version, name, prefer, order, isOwned };
    if (kind === "keyed") await this.#sendKeyed(apiDraw, name, { key, waitDraw, moreDraw });
    else if (kind === "bulk") await this.#sendBulk(collection, name, moreDraw, prefer);
    // The witness sees whether it was published.
    else if (kind === "garbage")
      await this.#cluster.witness.publish(buildGarbage(name, moreDraw)).catch(() => {});
    else await this.#send(buildCall(kind, of));
  }

  /**
   * Tries again, at the other API, while it is unknown whether it was accepted. An impatient client
   * tries several times at once, and waits: all but one of its writes are duplicates, settled while
   * it asks for them.
   */
  async #sendKeyed(
    apiDraw: number,
    name: string,
    of: { key: Record<string, string>; waitDraw: number; moreDraw: number },
  ): Promise<void> {
    const { key, waitDraw, moreDraw } = of;
    const items = new Set<string>();
    const isImpatient = waitDraw < IMPATIENT_SHARE;
    const prefer: Record<string, string> = isImpatient ? { prefer: "wait=3" } : {};
    const headers = { "idempotency-key": `key-${name}`, ...key, ...prefer };
    const body = { nombre: `tema ${name}` };
    const attempt = (number: number) => {
      const url = `${this.#getUrl(apiDraw + number / 2)}/api/data`;
      return this.#send({ method: "POST", url, body, headers }, (item) => items.add(item));
    };
    if (isImpatient) {
      const all = Array.from({ length: IMPATIENT_TRIES }, async (_, number) => {
        await sleep(number * IMPATIENT_PAUSE_MS);
        return attempt(number);
      });
      await Promise.all(all);
    }
    for (let tries = 0; tries < KEYED_TRIES; tries += 1) {
      const status = await attempt(tries);
      // Some clients ask again after an answer, too.
      if (status !== 0 && status !== 503 && moreDraw > 0.3) break;
    }
    if (items.size > 1) this.#ledger.violations.push(`the key of ${name} made ${[...items]}`);
  }

  async #sendBulk(url: string, name: string, draw: number, headers: Record<string, string>) {
    const body = Array.from({ length: 1 + Math.floor(draw * 40) }, (_, place) => ({
      nombre: place % 11 === 5 ? "" : `tema ${name}.${place}`,
      ...(draw < 0.5 ? { id: this.#hotItem(place % this.#options.hotItems) } : {}),
    }));
    await this.#send({ method: draw < 0.5 ? "PUT" : "POST", url, body, headers });
  }

  /** Sends a request and notes what its answer says; returns the answer's status. */
  async #send(call: Call, onItem: (item: string) => void = () => {}): Promise<number> {
    const startedAt = performance.now();
    const { status, headers, body } = await this.#exchange(call);
    this.#ledger.count(status);
    if (status === 202) this.#options.onAccepted(performance.now() - startedAt);
    if (status === 0) await sleep(REFUSED_PAUSE_MS);
    const ofWrites = this.#cluster.isOwned ? EXPECTED_OF_OWNERS : EXPECTED_OF_WRITES;
    const expected = call.method === "GET" ? EXPECTED_OF_READS : ofWrites;
    if (!expected.has(status))
      this.#ledger.violations.push(
        `${call.method} ${new URL(call.url).pathname} was answered ${status} ${JSON.stringify(body)}`,
      );
    const link = /<(.*?)>; rel="status"/.exec(String(headers.link ?? ""))?.[1];
    const results = (body as { results?: { receipt?: string }[] } | undefined)?.results ?? [];
    for (const { receipt } of [{ receipt: link }, ...results]) {
      const [, item, write] = /^\/api\/data\/(.*?)\/writes\/(.*)$/.exec(receipt ?? "") ?? [];
      if (!receipt || !item || !write) continue;
      this.#ledger.accept(write, decodeURIComponent(item), receipt);
      if (write > (this.#versions.get(item) ?? "")) this.#versions.set(item, write);
      onItem(item);
    }
    return status;
  }

  /** Sends a request, and records its answer to be judged. */
  async #exchange(call: Call): Promise<Answer> {
    const { pathname, search } = new URL(call.url);
    const fromMs = performance.now();
    const answer = await send(call);
    this.#ledger.record({
      fromMs,
      toMs: performance.now(),
      method: call.method,
      target: pathname + search,
      headers: call.headers ?? {},
      sent: call.body,
      status: answer.status,
      answerHeaders: answer.headers,
      answered: answer.body,
    });
    return answer;
  }

  /** Asks for the receipt of any confirmed write, settled or not. */
  async #watchReceipts(): Promise<void> {
    const random = createRandom(`looks ${this.#seed}`);
    while (!this.#isOver) {
      const write = this.#ledger.pick(random());
      if (write) void this.#readReceipt(write, random());
      await sleep(1_000 / READS_PER_SECOND);
    }
  }

  /** Asks one of the APIs for the receipt of a write. */
  async #readReceipt(write: string, number: number): Promise<void> {
    const confirmed = this.#ledger.confirmed.get(write);
    if (!confirmed) return;
    const url = this.#getUrl(number) + confirmed.receipt;
    const { status, body } = await this.#exchange({ method: "GET", url });
    if (![0, 200, 503].includes(status))
      this.#ledger.violations.push(`the receipt of ${write} was answered ${status}`);
    if ((body as { status?: string } | undefined)?.status === "settled") confirmed.isShown = true;
  }

  #hotItem(number: number): string {
    return `hot-${this.#options.prefix}${number}`;
  }

  #getUrl(number: number): string {
    return this.#cluster.apiUrls[Math.floor((number % 1) * 2) as 0 | 1];
  }
}
