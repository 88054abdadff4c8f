import { writeCursor } from "../../api/request/cursor.ts";
import { query } from "../../common/database.ts";
import { drain } from "./drain.ts";
import { fillOurs } from "./get.ts";
import { type LoadSpec, runLoad } from "./load.ts";
import { createMint } from "./messages.ts";
import type { Database, Stage } from "./stage.ts";
import { OURS } from "./targets.ts";

const SMALL_ROWS = 10_000;
const HOT_IDS = 1_000;
/** One write in ten is a create, and the others are puts on hot ids. */
const CREATE_EVERY = 10;
const PAGE_CLIENTS = 16;
const ROWS_PER_STATEMENT = 250_000;
/** Of the backlog that `drain` has: the tables must not grow by much. */
const BACKLOG_SHARE = 0.2;

/** What a write and a page cost in a large table, and what many writes on few items do. */
export async function benchScale(stage: Stage): Promise<void> {
  const { rounds, amounts } = stage.options;
  const large = await stage.createDatabase("ours");
  await fillLarge(stage, large, amounts.scaleRows);
  const backlog = Math.ceil(amounts.backlog * BACKLOG_SHARE);
  for (let round = 0; round < rounds; round += 1) {
    const small = await stage.createDatabase("ours");
    await fillOurs(small, Math.min(SMALL_ROWS, amounts.scaleRows));
    await drainCreates(stage, small, { round, backlog, case: "creates among few rows" });
    await drainCreates(stage, large, { round, backlog, case: "creates among many rows" });
    await small.drop();
    await drainHot(stage, round, backlog);
  }
  await benchPages(stage, large);
  await large.drop();
}

async function drainCreates(
  stage: Stage,
  database: Database,
  options: { round: number; backlog: number; case: string },
): Promise<void> {
  const { round, backlog } = options;
  const target = stage.own("subscriber");
  const values = await drain(stage, database, {
    target,
    message: createMint(stage.options.sampling).create,
    rows: backlog,
    backlog,
  });
  stage.record({ bench: "scale", case: options.case, target: OURS, round, values });
}

/** Counted by receipts: a write's is its item's row, or a row of `writes`. */
async function drainHot(stage: Stage, round: number, backlog: number): Promise<void> {
  const database = await stage.createDatabase("ours");
  const mint = createMint(stage.options.sampling);
  let number = 0;
  const message = () => {
    number += 1;
    if (number % CREATE_EVERY === 0) return mint.create();
    return mint.put(`hot-${Math.floor(Math.random() * HOT_IDS)}`);
  };
  const deadlocksBefore = await countDeadlocks(database);
  const target = stage.own("subscriber");
  const count = () => countReceipts(database);
  const values = await drain(stage, database, { target, message, rows: backlog, backlog, count });
  const serverDeadlocks = (await countDeadlocks(database)) - deadlocksBefore;
  stage.record({
    ...{ bench: "scale", case: "nine in ten are puts on hot ids", target: OURS, round },
    values: { ...values, serverDeadlocks },
  });
  await database.drop();
}

async function benchPages(stage: Stage, database: Database): Promise<void> {
  const { rounds, amounts } = stage.options;
  const [last] = await query(
    database.pool,
    "SELECT id, created_at FROM data WHERE deleted_at IS NULL" +
      " ORDER BY created_at, id LIMIT 1 OFFSET ?",
    [Math.floor(amounts.scaleRows * 0.99)],
  );
  const createdAt = Date.parse(`${String(last?.created_at).replace(" ", "T")}Z`);
  const place = { createdAt, id: String(last?.id) };
  const cursor = writeCursor(place, { collection: "data", newestFirst: false, filters: [] });
  const pages = { "first page": "", "page at depth": `&cursor=${cursor}` };
  const api = await stage.start(stage.own("api"), { database });
  for (let round = 0; round < rounds; round += 1)
    for (const [name, more] of Object.entries(pages)) {
      const what = { kind: "paths" as const, paths: [`/api/data?limit=50${more}`] };
      const spec: LoadSpec = { ...amounts, port: api.port, connections: PAGE_CLIENTS, what };
      const values = await runLoad(spec, { api: api.pid, mysql: stage.servers.mysqlPid });
      stage.record({ bench: "scale", case: name, target: OURS, round, values });
    }
  await api.stop();
}

/** Rows with ids in the order of time, made inside the server, a second or more ago. */
async function fillLarge(stage: Stage, { pool }: Database, count: number): Promise<void> {
  const connection = await pool.getConnection();
  const run = (sql: string, values: unknown[] = []) =>
    connection.query({ sql, values, timeout: 0 }).then(() => {});
  await run(`SET SESSION cte_max_recursion_depth = ${ROWS_PER_STATEMENT + 1}`);
  await run("SET SESSION sql_log_bin = 0");
  const startMs = Date.now() - 1_000 - count;
  for (let first = 0; first < count; first += ROWS_PER_STATEMENT) {
    const rows = Math.min(ROWS_PER_STATEMENT, count - first);
    await run(
      `INSERT INTO data (id, version, nombre, created_at, updated_at, applied_at)
       WITH RECURSIVE numbers (n) AS
         (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)
       SELECT id, id, 'Valpo', at, at, at FROM
         (SELECT CONCAT(INSERT(LPAD(LOWER(HEX(? + n)), 12, '0'), 9, 0, '-'), '-7000-8000-',
                        LPAD(LOWER(HEX(n)), 12, '0')) AS id,
                 FROM_UNIXTIME((? + n) / 1000) AS at FROM numbers) AS made`,
      [rows, startMs + first, startMs + first],
    );
    stage.say(`scale: ${first + rows} of ${count} rows are there`);
  }
  connection.release();
}

async function countReceipts({ pool }: Database): Promise<number> {
  const [row] = await query(
    pool,
    "SELECT (SELECT COUNT(*) FROM data) + (SELECT COUNT(*) FROM writes) AS receipts",
  );
  return Number(row?.receipts);
}

/** Since the server's start, in all databases. */
async function countDeadlocks({ pool }: Database): Promise<number> {
  const [row] = await query(
    pool,
    "SELECT `COUNT` AS deadlocks FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'",
  );
  return Number(row?.deadlocks ?? 0);
}
