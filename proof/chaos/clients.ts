import { setTimeout as sleep } from "node:timers/promises";
import type { MessageContent } from "../../common/write.ts";
import { createRandom } from "../../local/pubsub/faults.ts";
import type { Ledger, ShownReceipt } from "./ledger.ts";
import { type Call, send } from "./requests.ts";
import type { Stage } from "./stage.ts";

/** Between a client's requests, at most; so that the faults, too, get some of the processors. */
const PAUSE_MS = 30;
const DEFAULTS: ClientOptions = {
  /** As many as keep two cores busy beside the rest of the house. */
  clients: 12,
  hotItems: 12,
  prefix: "",
  pause: (draw) => sleep(draw * PAUSE_MS),
  onAccepted: () => {},
};
/** After a connection that was refused: its process is away. */
const REFUSED_PAUSE_MS = 100;
/** How often a keyed create is tried again, where its fate is not known. */
const KEYED_TRIES = 4;
/** Receipts that are looked at over and over while all this happens, a second. */
const LOOKS_PER_SECOND = 40;
/** Answers that a client may get; 0 where there was none. */
const EXPECTED = new Set([0, 200, 201, 202, 204, 207, 409, 410, 412, 422, 503]);

/** What an answer about a write that the client waited for says of its outcome. */
const OUTCOMES: Record<number, string> = { 201: "applied", 204: "applied", 412: "conflict" };

/** What a client may do next, and how likely it is. */
const KINDS = {
  ...{ create: 20, put: 25, delete: 7, ifMatch: 16, deleteIfMatch: 4, ifNoneMatch: 6, ifAny: 4 },
  ...{ keyed: 8, bulk: 4, poison: 4, invalid: 2, garbage: 2 },
} as const;
type Kind = keyof typeof KINDS;
const LOTS = Object.entries(KINDS).flatMap(([kind, lots]) => Array(lots).fill(kind) as Kind[]);

/** Clients by the seed: their n-th request is always the same, but for versions that they name. */
export class Clients {
  readonly #stage: Stage;
  readonly #ledger: Ledger;
  readonly #seed: number;
  readonly #options: ClientOptions;
  /** The newest write that anybody was told of, by item. */
  readonly #versions = new Map<string, string>();
  #isOver = false;

  constructor(stage: Stage, ledger: Ledger, seed: number, options: Partial<ClientOptions> = {}) {
    this.#stage = stage;
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

  /** Asks one of the APIs for the receipt of a write. */
  async look(write: string, number: number): Promise<void> {
    const { receipt, shown } = this.#ledger.told.get(write) as { receipt: string; shown?: string };
    const { status, body } = await send({ method: "GET", url: this.#getUrl(number) + receipt });
    this.#ledger.show(write, status, body as ShownReceipt | undefined, shown);
  }

  async #client(number: number): Promise<void> {
    const random = createRandom(`client ${this.#seed} ${number}`);
    for (let count = 0; !this.#isOver; count += 1) {
      // Drawn all at once, so that what a request meets does not change the next one.
      const draws = Array.from({ length: 6 }, random) as Draws;
      await this.#act(draws, `${this.#options.prefix}${number}.${count}`);
      await this.#options.pause(draws[5]);
    }
  }

  async #act(draws: Draws, name: string): Promise<void> {
    const [kindDraw, apiDraw, itemDraw, waitDraw, moreDraw] = draws;
    const kind = LOTS[Math.floor(kindDraw * LOTS.length)] as Kind;
    const url = `${this.#getUrl(apiDraw)}/api/data`;
    const item = this.#hotItem(Math.floor(itemDraw * this.#options.hotItems));
    const prefer: Record<string, string> =
      waitDraw < 0.1 ? { prefer: `wait=${1 + Math.floor(moreDraw * 3)}` } : {};
    const body = { nombre: `tema ${name}` };
    const one = `${url}/${item}`;
    const version = { "if-match": `"${this.#versions.get(item)}"`, ...prefer };
    const isKnown = this.#versions.has(item);
    if (kind === "create") await this.#send({ method: "POST", url, body, headers: prefer });
    else if (kind === "keyed") await this.#sendKeyed(apiDraw, name, moreDraw);
    else if (kind === "bulk") await this.#sendBulk(url, name, moreDraw, prefer);
    else if (kind === "garbage") await this.#publishGarbage(name, moreDraw);
    else if (kind === "invalid")
      await this.#send({ method: "PUT", url: one, body: { nombre: 7, extra: name } });
    else if (kind === "poison")
      await this.#send({ method: "PUT", url: one, body: { nombre: `poison ${name}` } });
    else if (kind === "delete") await this.#send({ method: "DELETE", url: one, headers: prefer });
    else if (kind === "ifNoneMatch")
      await this.#send({
        ...{ method: "PUT", url: one, body },
        headers: { "if-none-match": "*", ...prefer },
      });
    else if (kind === "ifAny")
      await this.#send({
        ...{ method: "PUT", url: one, body },
        headers: { "if-match": "*", ...prefer },
      });
    else if (kind === "ifMatch" && isKnown)
      await this.#send({ method: "PUT", url: one, body, headers: version });
    else if (kind === "deleteIfMatch" && isKnown)
      await this.#send({ method: "DELETE", url: one, headers: version });
    else await this.#send({ method: "PUT", url: one, body, headers: prefer });
  }

  /** Tries again, at the other API, where it is not known whether it was accepted. */
  async #sendKeyed(apiDraw: number, name: string, moreDraw: number): Promise<void> {
    const items = new Set<string>();
    for (let tries = 0; tries < KEYED_TRIES; tries += 1) {
      const url = `${this.#getUrl(apiDraw + tries / 2)}/api/data`;
      const headers = { "idempotency-key": `key-${name}` };
      const status = await this.#send(
        { method: "POST", url, body: { nombre: `tema ${name}` }, headers },
        (item) => items.add(item),
      );
      // Some ask again though they were told.
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

  async #publishGarbage(name: string, draw: number): Promise<void> {
    const kinds: MessageContent[] = [
      { attributes: {}, data: Buffer.from(name) },
      {
        attributes: { "ce-specversion": "1.0", "ce-type": "of no kind" },
        data: Buffer.from([255]),
      },
      {
        attributes: {
          ...{ "ce-specversion": "1.0", "ce-id": `no id ${name}`, "ce-source": "/api/data" },
          ...{ "ce-type": "dev.constancia.put", "ce-subject": "hot-0" },
        },
        data: Buffer.from('{"nombre":"garbage"}'),
      },
    ];
    const message = kinds[Math.floor(draw * kinds.length)] as MessageContent;
    // Whether it was published, the witness sees.
    await this.#stage.witness.publish(message).catch(() => {});
  }

  /** Sends, and notes what was told; the answer's status. */
  async #send(call: Call, onItem: (item: string) => void = () => {}): Promise<number> {
    const startedAt = performance.now();
    const { status, headers, body } = await send(call);
    this.#ledger.count(status);
    if (status === 202) this.#options.onAccepted(performance.now() - startedAt);
    if (status === 0) await sleep(REFUSED_PAUSE_MS);
    if (!EXPECTED.has(status))
      this.#ledger.violations.push(
        `${call.method} ${new URL(call.url).pathname} was answered ${status} ${JSON.stringify(body)}`,
      );
    const link = /<(.*?)>; rel="status"/.exec(String(headers.link ?? ""))?.[1];
    const results = (body as { results?: Promised[] } | undefined)?.results ?? [];
    const single: Promised = { receipt: link, outcome: OUTCOMES[status] };
    for (const { receipt, outcome } of [single, ...results]) {
      const [, item, write] = /^\/api\/data\/(.*?)\/writes\/(.*)$/.exec(receipt ?? "") ?? [];
      if (!receipt || !item || !write) continue;
      this.#ledger.accept(write, decodeURIComponent(item), receipt, outcome);
      if (write > (this.#versions.get(item) ?? "")) this.#versions.set(item, write);
      onItem(item);
    }
    return status;
  }

  /** Each look takes any write that anybody was told of, also one that is settled long ago. */
  async #watchReceipts(): Promise<void> {
    const random = createRandom(`looks ${this.#seed}`);
    while (!this.#isOver) {
      const write = this.#ledger.pick(random());
      if (write) void this.look(write, random());
      await sleep(1_000 / LOOKS_PER_SECOND);
    }
  }

  #hotItem(number: number): string {
    return `hot-${this.#options.prefix}${number}`;
  }

  #getUrl(number: number): string {
    return this.#stage.apiUrls[Math.floor((number % 1) * 2) as 0 | 1];
  }
}

export type ClientOptions = {
  clients: number;
  /** Items that all clients fight for. */
  hotItems: number;
  /** What the names of items begin with, of those that come in the same run. */
  prefix: string;
  /** Between two requests of a client; `draw` is from 0 to 1. */
  pause(draw: number): Promise<unknown>;
  /** After each answer 202, with the time that it took. */
  onAccepted(ms: number): void;
};
type Promised = { receipt?: string | undefined; outcome?: string | undefined };
type Draws = [number, number, number, number, number, number];
