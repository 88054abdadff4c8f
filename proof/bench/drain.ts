import { setTimeout as sleep } from "node:timers/promises";
import { query } from "../../common/database.ts";
import type { MessageContent } from "../../common/write.ts";
import { startAccounting } from "../support/process-usage.ts";
import { countInserts, fillTopic } from "./backlog.ts";
import type { Database } from "./database.ts";
import type { BenchEnvironment, Cores } from "./environment.ts";
import { createMint, SEED_MESSAGE } from "./messages.ts";
import {
  CONSTANCIA,
  createInsertTarget,
  LIMIT_INSERT,
  LIMIT_PULL,
  PULL_ALONE,
  SEED,
  SEED_SUBSCRIBER,
  type Target,
} from "./targets.ts";

type Contestant = {
  target: Target;
  message: () => MessageContent;
  /** Rows that are measured, after those of the warm-up. */
  rows: number;
};

const HOT_IDS = 1_000;
/** Of the writes on hot ids, one in so many creates; the others are puts. */
const CREATE_EVERY = 10;
const POLL_MS = 20;
const DEADLINE_MS = 180_000;
const COMMIT_DEADLINE_MS = 10_000;

/** Settles a backlog, from a fresh start. */
export async function benchDrain(environment: BenchEnvironment): Promise<void> {
  const { rounds, amounts, sampling } = environment.options;
  const { warmRows, rows, seedRows } = amounts;
  const message = createMint(sampling).create;
  const contestants: Contestant[] = [
    { target: environment.createOwn("subscriber"), message, rows },
    { target: SEED_SUBSCRIBER, message: () => SEED_MESSAGE, rows: seedRows },
    { target: PULL_ALONE, message, rows },
    { target: createInsertTarget(warmRows + rows), message, rows },
  ];
  for (let round = 0; round < rounds; round += 1)
    await environment.forEachCores(async (cores) => {
      for (const contestant of contestants) {
        const { title } = contestant.target;
        const database = await environment.createDatabase(title === SEED ? "seed" : "constancia");
        const values = await drain(environment, database, contestant);
        if (title === CONSTANCIA)
          values.missing = await countMissing(database, warmRows + contestant.rows);
        const sample = { bench: "drain", case: "backlog", cores, round };
        environment.record({ ...sample, target: title, values });
        await database.drop();
      }
      await drainHotIds(environment, round, cores);
    });
}

/** Many writes on few items. Counted by receipts: a write's is its item's row, or in `writes`. */
async function drainHotIds(
  environment: BenchEnvironment,
  round: number,
  cores: Cores,
): Promise<void> {
  const { amounts, sampling } = environment.options;
  const database = await environment.createDatabase("constancia");
  const mint = createMint(sampling);
  let number = 0;
  const message = () => {
    number += 1;
    if (number % CREATE_EVERY === 0) return mint.create();
    return mint.put(`hot-${Math.floor(Math.random() * HOT_IDS)}`);
  };
  const values = await drain(environment, database, {
    target: environment.createOwn("subscriber"),
    message,
    rows: amounts.rows,
    count: () => countReceipts(database),
  });
  const sample = { bench: "drain", case: "nine in ten are puts on hot ids", cores, round };
  environment.record({ ...sample, target: CONSTANCIA, values });
  await database.drop();
}

/** Settles a backlog of `rows` and those of the warm-up; returns the figures of the former. */
export async function drain(
  environment: BenchEnvironment,
  database: Database,
  options: Contestant & {
    /** Counts what is settled so far; by default the rows that were inserted. */
    count?: () => Promise<number>;
  },
): Promise<Record<string, number>> {
  const { target, message, rows } = options;
  const { warmRows } = environment.options.amounts;
  const topic = environment.name("drain");
  const names = await environment.renewTopic(topic);
  const pulls = target.title !== LIMIT_INSERT;
  const inserts = target.title !== LIMIT_PULL;
  if (pulls) await fillTopic(environment, names.topic, warmRows + rows, message);
  const before = inserts ? await countInserts(database) : 0;
  const subscriber = await environment.start(target, { database, topic });
  const countRows = async () =>
    inserts ? (await countInserts(database)) - before : subscriber.count();
  const pids = {
    subscriber: subscriber.pid,
    mysql: inserts ? environment.servers.mysqlPid : undefined,
    pubsub: pulls ? environment.pubsub.pid : undefined,
  };
  try {
    return await measureWindow(options.count ?? countRows, { warmRows, rows }, pids);
  } finally {
    await subscriber.stop();
    await environment.deleteTopic(topic);
  }
}

/** Opens the window at the first count beyond the warm-up, and closes it when all is settled. */
async function measureWindow(
  count: () => Promise<number>,
  { warmRows, rows }: { warmRows: number; rows: number },
  pids: Record<string, number | undefined>,
): Promise<Record<string, number>> {
  const deadline = Date.now() + DEADLINE_MS;
  const all = warmRows + rows;
  let account: ReturnType<typeof startAccounting> | undefined;
  let first = 0;
  for (;;) {
    const counted = await count();
    if (counted >= all) return (account ?? startAccounting(pids))(() => counted - first);
    if (!account && counted >= warmRows) {
      first = counted;
      account = startAccounting(pids);
    }
    if (Date.now() > deadline) throw new Error(`only ${counted} of ${all} were settled`);
    await sleep(POLL_MS);
  }
}

/** Writes without a row, once the last are committed: there should be none. */
async function countMissing({ pool, table }: Database, expected: number): Promise<number> {
  const deadline = Date.now() + COMMIT_DEADLINE_MS;
  for (;;) {
    const [row] = await query(pool, `SELECT COUNT(*) AS counted FROM ${table}`);
    const missing = expected - Number(row?.counted);
    if (missing <= 0 || Date.now() > deadline) return missing;
    await sleep(POLL_MS);
  }
}

async function countReceipts({ pool }: Database): Promise<number> {
  const [row] = await query(
    pool,
    "SELECT (SELECT COUNT(*) FROM data) + (SELECT COUNT(*) FROM writes) AS receipts",
  );
  return Number(row?.receipts);
}
