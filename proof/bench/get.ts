import { collections } from "../../collections/collections.ts";
import type { Collection } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import { insertRows } from "../../common/tables.ts";
import { mintWriteId } from "../../common/write-id.ts";
import type { Database } from "./database.ts";
import type { BenchEnvironment } from "./environment.ts";
import { type LoadRequests, type LoadSpec, runLoad, warmUp } from "./load.ts";
import type { RunningTarget } from "./target-process.ts";
import { CONSTANCIA, EXPRESS_ALONE, LIMIT_EXPRESS, SEED_API } from "./targets.ts";

const CASES = [
  { name: "64 clients", connections: 64 },
  { name: "1 client", connections: 1 },
];
const ROWS_PER_STATEMENT = 500;

/** Reads of one item by its id, out of many, at random. */
export async function benchGet(environment: BenchEnvironment): Promise<void> {
  const { rounds, amounts, only } = environment.options;
  const cases = CASES.filter(({ name }) => name.includes(only));
  const database = await environment.createDatabase("constancia");
  const seedDatabase = await environment.createDatabase("seed");
  const ids = await insertItems(database, amounts.items);
  const numbers = await insertSeedItems(seedDatabase, amounts.items);
  const started: { title: string; api: RunningTarget; what: LoadRequests }[] = [];
  for (const target of [environment.createOwn("api"), SEED_API, EXPRESS_ALONE]) {
    const isOwn = target.title === CONSTANCIA;
    const api = await environment.start(target, { database: isOwn ? database : seedDatabase });
    const paths = (isOwn ? ids : numbers).map((id) => `/api/data/${id}`);
    const what: LoadRequests = { kind: "paths", paths };
    await warmUp(api.port, what, amounts.warmRequests);
    started.push({ title: target.title, api, what });
  }
  for (let round = 0; round < rounds; round += 1)
    await environment.forEachCores(async (cores) => {
      for (const { name, connections } of cases)
        for (const { title, api, what } of started) {
          const { seconds, requests } = amounts;
          const warmRequests = connections;
          const window = { connections, what, warmRequests, seconds, requests };
          const spec: LoadSpec = { port: api.port, ...window };
          const mysql = title === LIMIT_EXPRESS ? undefined : environment.servers.mysqlPid;
          const values = await runLoad(spec, { api: api.pid, mysql });
          environment.record({ bench: "get", case: name, cores, target: title, round, values });
        }
    });
  for (const { api } of started) await api.stop();
  await database.drop();
  await seedDatabase.drop();
}

/** Inserts items without the API; resolves with their ids. */
async function insertItems({ pool }: Database, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const rows = Array.from({ length: Math.min(ROWS_PER_STATEMENT, count - ids.length) }, () => {
      const now = Date.now();
      return {
        id: mintWriteId(),
        version: mintWriteId(),
        item: { nombre: "Valpo" },
        createdAt: now,
        updatedAt: now,
        appliedAt: now,
        deletedAt: null,
        fingerprint: null,
        trace: null,
        created: true,
      };
    });
    await insertRows(pool, collections[0] as Collection, rows);
    ids.push(...rows.map(({ id }) => id));
  }
  return ids;
}

async function insertSeedItems({ pool }: Database, count: number): Promise<number[]> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  for (let first = 0; first < count; first += ROWS_PER_STATEMENT) {
    const rows = numbers.slice(first, first + ROWS_PER_STATEMENT).map((id) => [id, "Valpo"]);
    await query(pool, "INSERT INTO temas (id, nombre) VALUES ?", [rows]);
  }
  return numbers;
}
