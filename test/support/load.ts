import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Pool, query } from "../../common/database.ts";
import { readSnapshot } from "./snapshot.ts";
import { until } from "./until.ts";

/** A write that the API answered 202 for, and what it wrote. */
export type Accepted = { id: string; write: string; nombre: string };

export type Answer = { status: number; headers: Record<string, unknown>; body: string };

/** A client waits so long for its turn: for as long as a busy machine may start two processes. */
const GATE_SECONDS = 120;
/** Pause between two reads of all tables, which cost more than what they wait for. */
const READ_INTERVAL_MS = 250;
/** Ids that many writes fight for. */
const HOT_IDS = 50;

/**
 * Clients that write as fast as they are answered: creates, and one write in three a put on one
 * of a few hot ids. Bounded by `writes`; failures are counted by status, 0 for a broken connection.
 */
export class Load {
  readonly accepted: Accepted[] = [];
  readonly failures = new Map<number, number>();
  sent = 0;
  unanswered = 0;
  #isStopped = false;
  #isPaused = false;
  #allowed = Number.POSITIVE_INFINITY;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #url: string;
  readonly #writes: number;

  constructor(url: string, writes: number) {
    this.#url = url;
    this.#writes = writes;
  }

  /** Resolves when all clients are done; `gate` says whether the next write may go now. */
  async run(clients: number, gate: () => boolean = () => true): Promise<void> {
    await Promise.all(Array.from({ length: clients }, () => this.#client(gate)));
    this.#agent.destroy();
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Lets the clients send so many writes from now on, and then holds them back. */
  allow(writes: number): void {
    this.#allowed = this.sent + writes;
  }

  /** Holds the clients back, all answered, while `work` goes on. */
  async pauseFor(work: () => Promise<void>): Promise<void> {
    this.#isPaused = true;
    await until("every client is answered", () => this.unanswered === 0);
    await work();
    this.#isPaused = false;
  }

  async #client(gate: () => boolean): Promise<void> {
    while (this.sent < this.#writes && !this.#isStopped) {
      const isOpen = () => !this.#isPaused && this.sent < this.#allowed && gate();
      if (!isOpen()) {
        await until("the gate opens", () => isOpen() || this.#isStopped, GATE_SECONDS);
        continue;
      }
      const number = this.sent;
      this.sent += 1;
      const nombre = `tema ${number}`;
      const isPut = number % 3 === 0;
      const id = isPut ? `hot-${number % HOT_IDS}` : undefined;
      this.unanswered += 1;
      const answer = await send(
        isPut ? "PUT" : "POST",
        `${this.#url}/api/data`,
        JSON.stringify({ id, nombre }),
        {},
        this.#agent,
      );
      this.unanswered -= 1;
      if (answer.status === 202) this.accepted.push({ ...JSON.parse(answer.body), nombre });
      else this.failures.set(answer.status, (this.failures.get(answer.status) ?? 0) + 1);
    }
  }
}

/** One request over node:http, which is faster than fetch; status 0 where the connection broke. */
export function send(
  method: string,
  url: string,
  body?: string,
  headers: Record<string, string> = {},
  agent?: Agent,
): Promise<Answer> {
  return new Promise((resolve) => {
    const sending = request(url, {
      method,
      agent: agent ?? false,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
    sending.on("error", () => resolve({ status: 0, headers: {}, body: "" }));
    sending.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.on("error", () => resolve({ status: 0, headers: {}, body: "" }));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    sending.end(body);
  });
}

/** All rows by item id, and the outcomes of each write: of a row's version, `writes`, dead letters. */
async function readTables(pool: Pool) {
  const { rows, writes, dead } = await readSnapshot(pool, async (connection) => ({
    rows: await query(connection, "SELECT id, version, nombre FROM data"),
    writes: await query(connection, "SELECT id, outcome FROM writes"),
    dead: await query(connection, "SELECT write_id FROM dead_letters"),
  }));
  const receipts = new Map<string, string[]>();
  const add = (id: unknown, outcome: unknown) =>
    receipts.set(String(id), [...(receipts.get(String(id)) ?? []), String(outcome)]);
  for (const { version } of rows) add(version, "applied");
  for (const { id, outcome } of writes) add(id, outcome);
  for (const { write_id } of dead) add(write_id, "dead");
  return { receipts, rows: new Map(rows.map((row) => [String(row.id), row] as const)) };
}

/**
 * Waits until every accepted write has a receipt, then counts: none missing, none with two
 * outcomes, none dead; every item is what its newest applied write says, and none is older than a
 * write that its client was told of.
 */
export async function assertNothingLost(
  pool: Pool,
  accepted: readonly Accepted[],
  seconds = 120,
): Promise<void> {
  assert.equal(new Set(accepted.map(({ write }) => write)).size, accepted.length);
  let { receipts, rows } = await readTables(pool);
  const missing = () => accepted.filter(({ write }) => !receipts.has(write));
  await until(
    "every accepted write is settled",
    async () => {
      if (missing().length === 0) return true;
      await sleep(READ_INTERVAL_MS);
      ({ receipts, rows } = await readTables(pool));
      return missing().length === 0;
    },
    seconds,
  ).catch((error) => {
    throw new Error(`${error.message} Missing: ${missing().length} of ${accepted.length}.`);
  });
  const doubled = [...receipts].filter(([, outcomes]) => outcomes.length !== 1);
  assert.deepEqual(doubled, [], "a write has two receipts");
  const dead = accepted.filter(({ write }) => receipts.get(write)?.[0] === "dead");
  assert.deepEqual(dead, [], "a good write is dead");

  const nombres = new Map(accepted.map(({ write, nombre }) => [write, nombre] as const));
  for (const { id, write } of accepted) {
    const row = rows.get(id);
    assert.ok(row, `the item ${id} has no row`);
    assert.ok(String(row.version) >= write, `the item ${id} is older than the write ${write}`);
    const nombre = nombres.get(String(row.version));
    if (nombre !== undefined) assert.equal(row.nombre, nombre, `the item ${id} is not its version`);
  }
}
