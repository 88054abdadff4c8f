import { setTimeout as sleep } from "node:timers/promises";
import { query } from "../../common/database.ts";
import type { MessageContent } from "../../common/write.ts";
import { countInserts, fillTopic } from "./backlog.ts";
import { startAccounting } from "./measure.ts";
import { createMint, NEST_MESSAGE, SEED_MESSAGE } from "./messages.ts";
import type { Database, Stage } from "./stage.ts";
import {
  insertTarget,
  LIMIT_INSERT,
  LIMIT_PULL,
  NEST_SUBSCRIBER,
  OURS,
  pullTarget,
  SEED_SUBSCRIBER,
  type Target,
} from "./targets.ts";

type Contestant = {
  target: Target;
  message: () => MessageContent;
  /** Rows after which the rest is thrown away. */
  rows: number;
};

const POLL_MS = 50;
/** The window opens when a process has settled this share, so that its start is not counted. */
const WARM_SHARE = 0.05;
const DEADLINE_MS = 120_000;
const COMMIT_DEADLINE_MS = 10_000;

/** A backlog is settled, from a fresh start. */
export async function benchDrain(stage: Stage): Promise<void> {
  const { rounds, amounts, streams } = stage.options;
  const { backlog, peerRows } = amounts;
  const mintCreate = createMint(stage.options.sampling).create;
  const contestants: Contestant[] = [
    { target: stage.own("subscriber"), message: mintCreate, rows: backlog },
    { target: SEED_SUBSCRIBER, message: () => SEED_MESSAGE, rows: peerRows },
    { target: NEST_SUBSCRIBER, message: () => NEST_MESSAGE, rows: peerRows },
    { target: pullTarget(streams), message: mintCreate, rows: backlog },
    { target: insertTarget(backlog), message: mintCreate, rows: backlog },
  ];
  for (let round = 0; round < rounds; round += 1)
    for (const contestant of contestants) {
      const { title } = contestant.target;
      const isOurs = [OURS, LIMIT_PULL, LIMIT_INSERT].includes(title);
      const database = await stage.createDatabase(isOurs ? "ours" : "peers");
      const values = await drain(stage, database, { ...contestant, backlog });
      if (title === OURS) values.missing = await countMissing(database, backlog);
      stage.record({ bench: "drain", case: "backlog", target: title, round, values });
      await database.drop();
    }
}

/** Settles `rows` of a backlog; the values of the window between its first rows and its last. */
export async function drain(
  stage: Stage,
  database: Database,
  options: Contestant & {
    backlog: number;
    /** Of what is settled so far; rows put into the table where it is not given. */
    count?: () => Promise<number>;
  },
): Promise<Record<string, number>> {
  const { target, message, rows, backlog } = options;
  const topic = stage.name("drain");
  const names = await stage.renewTopic(topic);
  const pulls = target.title !== LIMIT_INSERT;
  const inserts = target.title !== LIMIT_PULL;
  if (pulls) await fillTopic(stage, names.topic, backlog, message);
  const already = inserts ? await countInserts(database) : 0;
  const subscriber = await stage.start(target, { database, topic });
  const countRows = async () =>
    inserts ? (await countInserts(database)) - already : subscriber.count();
  const pids = {
    subscriber: subscriber.pid,
    ...(inserts ? { mysql: stage.servers.mysqlPid } : {}),
    ...(pulls ? { emulator: stage.servers.emulatorPid } : {}),
  };
  try {
    const values = await watch(options.count ?? countRows, rows, pids);
    const deadlocks = subscriber.linesWith("ER_LOCK_DEADLOCK");
    return target.title === OURS ? { ...values, deadlocks } : values;
  } finally {
    await subscriber.stop(rows < backlog ? "SIGKILL" : "SIGTERM");
    await stage.deleteTopic(topic);
  }
}

/** Watches a count until it has reached `rows`. */
async function watch(
  count: () => Promise<number>,
  rows: number,
  pids: Record<string, number | undefined>,
): Promise<Record<string, number>> {
  const deadline = Date.now() + DEADLINE_MS;
  let account = startAccounting(pids);
  let first = 0;
  for (;;) {
    const counted = await count();
    if (counted >= rows) return account(() => counted - first);
    if (first === 0 && counted >= rows * WARM_SHARE) {
      first = counted;
      account = startAccounting(pids);
    }
    if (Date.now() > deadline) throw new Error(`only ${counted} of ${rows} were settled`);
    await sleep(POLL_MS);
  }
}

/** Writes without a row, once the last are committed: there should be none. */
async function countMissing({ pool, table }: Database, wanted: number): Promise<number> {
  const deadline = Date.now() + COMMIT_DEADLINE_MS;
  for (;;) {
    const [row] = await query(pool, `SELECT COUNT(*) AS rows_there FROM ${table}`);
    const missing = wanted - Number(row?.rows_there);
    if (missing <= 0 || Date.now() > deadline) return missing;
    await sleep(POLL_MS);
  }
}
