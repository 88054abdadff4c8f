import { query } from "../../common/database.ts";
import { drain } from "./drain.ts";
import type { BenchEnvironment, Cores, Database } from "./environment.ts";
import { insertItems } from "./get.ts";
import { createMint } from "./messages.ts";
import { CONSTANCIA } from "./targets.ts";

const SMALL_ROWS = 10_000;
const HOT_IDS = 1_000;
/** One write in ten is a create; the others are puts on hot ids. */
const CREATE_EVERY = 10;
const ROWS_PER_STATEMENT = 250_000;
/** Of the rows of `drain`: the tables must not grow by much. */
const ROWS_SHARE = 0.2;

/** What a write costs in a large table, and what many writes on few items do. */
export async function benchScale(environment: BenchEnvironment): Promise<void> {
  const { rounds, amounts } = environment.options;
  const large = await environment.createDatabase("constancia");
  await insertMany(environment, large, amounts.scaleRows);
  for (let round = 0; round < rounds; round += 1)
    await environment.forEachCores(async (cores) => {
      const small = await environment.createDatabase("constancia");
      await insertItems(small, Math.min(SMALL_ROWS, amounts.scaleRows));
      await drainCreates(environment, small, { round, cores, name: "creates among few rows" });
      await drainCreates(environment, large, { round, cores, name: "creates among many rows" });
      await small.drop();
      await drainHot(environment, round, cores);
    });
  await large.drop();
}

async function drainCreates(
  environment: BenchEnvironment,
  database: Database,
  { round, cores, name }: { round: number; cores: Cores; name: string },
): Promise<void> {
  const { amounts, sampling } = environment.options;
  const values = await drain(environment, database, {
    target: environment.createOwn("subscriber"),
    message: createMint(sampling).create,
    rows: Math.ceil(amounts.rows * ROWS_SHARE),
  });
  environment.record({ bench: "scale", case: name, cores, target: CONSTANCIA, round, values });
}

/** Counted by receipts: a write's receipt is its item's row, or a row of `writes`. */
async function drainHot(environment: BenchEnvironment, round: number, cores: Cores): Promise<void> {
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
    rows: Math.ceil(amounts.rows * ROWS_SHARE),
    count: () => countReceipts(database),
  });
  const sample = { bench: "scale", case: "nine in ten are puts on hot ids", cores, round };
  environment.record({ ...sample, target: CONSTANCIA, values });
  await database.drop();
}

/** Inserts rows by the server itself, with ids in the order of time, a second or more ago. */
async function insertMany(
  environment: BenchEnvironment,
  { pool }: Database,
  count: number,
): Promise<void> {
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
    environment.say(`scale: ${first + rows} of ${count} rows are inserted`);
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
