import assert from "node:assert/strict";
import type { Collection } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import { classifyDatabaseError } from "../../common/database-faults.ts";
import { mustFindItem } from "../../common/owner.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import type { Decision } from "../../subscriber/decide.ts";
import type { Message } from "../../subscriber/message.ts";
import { createSettle } from "../../subscriber/settle.ts";
import { courses } from "../collections/courses.ts";
import { type Cut, CutPool } from "./cut-pool.ts";
import { createTestEnvironment, type TestEnvironment } from "./environment.ts";
import { assertNoOverlap, buildExpire, makeHolds, type PlannedHold } from "./hold-schedules.ts";
import { createTestLogger } from "./logger.ts";
import { type Batch, makeWrites, type Schedule } from "./schedules.ts";
import { checkNumbered, checkSettled, collectOutcomes, type Stored } from "./settled-invariants.ts";
import { selectStored } from "./snapshot.ts";
import { addOldWaits, endWaits } from "./waits.ts";

/** Both subscribers get a batch at once, the second when the first has sent `leadStatements`. */
export type Round = {
  batches: [Batch, Batch];
  leadStatements: number;
  cuts: [Cut | undefined, Cut | undefined];
  /** The time since the round before; if any passes, no write waits for another one any more. */
  afterMs: number;
};

/** A round of holds; after it, what has expired so long after the last write is swept, if it is set. */
export type HoldRound = Round & { sweepAfterMs?: number };

type Subscriber = { cutPool: CutPool; settle: ReturnType<typeof createSettle> };

/** More rounds than any write needs once no connection is cut. */
const MAX_ROUNDS = 6;

/** Two subscribers on one MySQL, without Pub/Sub: the test delivers the messages. */
export class TwoSubscribers {
  readonly #environment: TestEnvironment;
  readonly #collection: Collection;
  readonly #first: Subscriber;
  readonly #second: Subscriber;
  #runs = 0;
  #messages = 0;

  static async start(collection: Collection = courses): Promise<TwoSubscribers> {
    const folder = new URL("../migrations/", import.meta.url);
    const environment = await createTestEnvironment({ migrations: [folder] });
    const first = await startSubscriber(environment, collection);
    const second = await startSubscriber(environment, collection);
    return new TwoSubscribers(environment, collection, first, second);
  }

  private constructor(
    environment: TestEnvironment,
    collection: Collection,
    first: Subscriber,
    second: Subscriber,
  ) {
    this.#environment = environment;
    this.#collection = collection;
    this.#first = first;
    this.#second = second;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#first.cutPool.end(), this.#second.cutPool.end()]);
    await this.#environment.close();
  }

  /**
   * Delivers a schedule, then each write until it is settled, then all of them once more; checks the
   * tables and the decisions. `setClock` sets the time that settling reads. With `areWaitsOver`, no
   * write waits for another one any more.
   */
  async run(
    { writes: planned, deliveries }: Schedule<Round>,
    options: {
      setClock: (ms: number) => void;
      isUnconditional: boolean;
      areWaitsOver?: boolean;
    },
  ): Promise<void> {
    const { setClock, isUnconditional } = options;
    this.#runs += 1;
    const startMs = Date.now();
    const writes = makeWrites(planned, { collection: this.#collection, run: this.#runs, startMs });
    const decisions = new Decisions();
    const mayWait = (write: Write) => mustFindItem(write) || (write.ifMatch ?? "*") !== "*";
    if (options.areWaitsOver)
      await addOldWaits(
        this.#environment.pool,
        writes.filter(mayWait).map(({ id }) => id),
      );
    setClock(Math.max(...writes.map(({ acceptedAt }) => acceptedAt)));
    for (const { afterMs, ...round } of deliveries) {
      setClock(Date.now() + afterMs);
      if (afterMs > 0) await endWaits(this.#environment.pool);
      await this.#deliver(writes, round, decisions);
    }
    await this.#deliverRest(writes, decisions);
    const stored = await this.#read(writes);
    const outcomes = checkSettled(writes, stored, { isUnconditional });
    if (this.#collection.feed) checkNumbered(stored);
    await this.#checkAgain(writes, { stored, outcomes, decisions });
  }

  /**
   * Delivers a schedule of holds in the same way, and checks that no two subjects were told that they
   * held the item at one time. `judged` is the write whose publish time settlement gets.
   */
  async runHolds(
    { holds, deliveries }: { holds: PlannedHold[]; deliveries: HoldRound[] },
    judged: (write: Write) => Write = (write) => write,
  ): Promise<void> {
    this.#runs += 1;
    const startMs = Date.now();
    const holding = makeHolds(holds, { collection: this.#collection, run: this.#runs, startMs });
    const writes = holding.map(judged);
    const endMs = Math.max(...holding.map(({ publishedAt = 0 }) => publishedAt));
    const decisions = new Decisions();
    for (const { sweepAfterMs, afterMs: _, ...round } of deliveries) {
      await this.#deliver(writes, round, decisions);
      if (sweepAfterMs === undefined) continue;
      const { rows } = await this.#read(holding);
      const expire = buildExpire(this.#collection, rows[0], endMs + sweepAfterMs);
      if (!expire) continue;
      if (!writes.some(({ id }) => id === expire.id)) writes.push(expire);
      const place = writes.findIndex(({ id }) => id === expire.id);
      const batches: [Batch, Batch] = [[place], [place]];
      await this.#deliver(writes, { batches, leadStatements: 0 }, decisions);
    }
    await this.#deliverRest(writes, decisions);
    const stored = await this.#read(writes);
    const outcomes = collectOutcomes(writes, stored);
    if (this.#collection.feed) checkNumbered(stored);
    await this.#checkAgain(writes, { stored, outcomes, decisions });
    assertNoOverlap(holding.filter(({ id }) => outcomes.get(id) === "applied"));
  }

  /** Delivers each write until it is settled. */
  async #deliverRest(writes: readonly Write[], decisions: Decisions): Promise<void> {
    for (let round = 0; ; round += 1) {
      const left = [...writes.keys()].filter(
        (place) => !decisions.isSettled(writes[place] as Write),
      );
      if (left.length === 0) break;
      assert.ok(round < MAX_ROUNDS, `not settled: ${left.map((place) => writes[place]?.id)}`);
      const batches: [Batch, Batch] = [left, left.toReversed()];
      await this.#deliver(writes, { batches, leadStatements: round }, decisions);
      await endWaits(this.#environment.pool);
    }
  }

  /** Checks the decisions, delivers every write once more, and checks that nothing has changed. */
  async #checkAgain(
    writes: readonly Write[],
    known: { stored: Stored; outcomes: ReadonlyMap<string, string>; decisions: Decisions },
  ): Promise<void> {
    const { stored, outcomes, decisions } = known;
    decisions.check(outcomes);
    const all = [...writes.keys()];
    await this.#deliver(writes, { batches: [all, all], leadStatements: 0 }, decisions);
    decisions.check(outcomes);
    assert.deepEqual(await this.#read(writes), stored);
    const [left] = await query(this.#environment.pool, "SELECT COUNT(*) AS waits FROM waiting");
    assert.equal(Number(left?.waits), 0, "a write that is settled still waits");
  }

  async #deliver(
    writes: readonly Write[],
    { batches, leadStatements, cuts }: Omit<Round, "afterMs" | "cuts"> & Partial<Round>,
    decisions: Decisions,
  ): Promise<void> {
    const settle = async (subscriber: Subscriber, index: 0 | 1) => {
      subscriber.cutPool.arm(cuts?.[index]);
      const messages = batches[index].map((place) => this.#toMessage(writes[place] as Write));
      decisions.add(messages, await subscriber.settle(messages));
    };
    const first = settle(this.#first, 0);
    await Promise.race([first, this.#first.cutPool.sent(leadStatements)]);
    await Promise.all([first, settle(this.#second, 1)]);
  }

  #toMessage(write: Write): Message {
    this.#messages += 1;
    const { publishedAt } = write;
    return { ...encodeWrite(write), publishedAt, messageId: `m-${this.#messages}` };
  }

  #read(writes: readonly Write[]): Promise<Stored> {
    return selectStored(this.#environment.pool, this.#collection, writes);
  }
}

/** With `holdMs` 0, a lost transaction is not retried: its messages get the error. */
async function startSubscriber(
  environment: TestEnvironment,
  collection: Collection,
): Promise<Subscriber> {
  const cutPool = new CutPool(new URL(environment.env.MYSQL_URL as string));
  const settle = createSettle({
    pool: cutPool.pool,
    collections: [collection],
    logger: await createTestLogger(),
    holdMs: 0,
    stop: new AbortController().signal,
  });
  return { cutPool, settle };
}

/** What the subscribers decided for each write. */
class Decisions {
  readonly #outcomes = new Map<string, string[]>();

  add(messages: readonly Message[], decisions: readonly (Decision | Error)[]): void {
    assert.equal(decisions.length, messages.length);
    messages.forEach(({ attributes }, index) => {
      const decision = decisions[index] as Decision | Error;
      if (decision instanceof Error) {
        // Only for a lost connection, or a deadlock: a race is run again, a bad value is dead.
        assert.equal(classifyDatabaseError(decision), "transient", decision.message);
        return;
      }
      if (decision.kind === "not-yet") return;
      const id = attributes["ce-id"] as string;
      const outcome = decision.kind === "settled" ? decision.outcome : decision.kind;
      this.#outcomes.set(id, [...(this.#outcomes.get(id) ?? []), outcome]);
    });
  }

  isSettled({ id }: Write): boolean {
    return this.#outcomes.has(id);
  }

  /** Every outcome stands, and only one subscriber settled the write. */
  check(outcomes: ReadonlyMap<string, string>): void {
    for (const [id, all] of this.#outcomes) {
      const first = all.filter((outcome) => outcome !== "settled-before");
      for (const outcome of first) assert.equal(outcome, outcomes.get(id), `${id}: ${all}`);
      // Both may find the same write dead at once; it still has one dead letter.
      const once = first.filter((outcome) => outcome !== "dead");
      assert.ok(once.length <= 1, `${id} was settled ${once.length} times: ${all}`);
    }
  }
}
