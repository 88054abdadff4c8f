import { collections } from "../../collections/collections.ts";
import type { Collection } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import { insertRows } from "../../common/tables.ts";
import { mintWriteId } from "../../common/write-id.ts";
import { type LoadSpec, runLoad } from "./load.ts";
import type { Database, Stage } from "./stage.ts";
import { EXPRESS_ALONE, FASTIFY_TO_MYSQL, NEST_API, OURS, SEED_API } from "./targets.ts";

const CASES = [
  { name: "64 clients", connections: 64 },
  { name: "1 client", connections: 1 },
];
const ROWS_PER_STATEMENT = 500;

/** Reads of one item by its id, out of many, at random. */
export async function benchGet(stage: Stage): Promise<void> {
  const { rounds, amounts, only } = stage.options;
  const cases = CASES.filter(({ name }) => name.includes(only));
  const ours = await stage.createDatabase("ours");
  const peers = await stage.createDatabase("peers");
  const paths = {
    ours: (await fillOurs(ours, amounts.items)).map((id) => `/api/data/${id}`),
    peers: (await fillPeers(peers, amounts.items)).map((id) => `/api/data/${id}`),
  };
  const targets = [stage.own("api"), SEED_API, FASTIFY_TO_MYSQL, NEST_API, EXPRESS_ALONE];
  const started = [];
  for (const target of targets) {
    const database = target.title === OURS ? ours : peers;
    started.push({ target, api: await stage.start(target, { database }) });
  }
  for (let round = 0; round < rounds; round += 1)
    for (const { name, connections } of cases)
      for (const { target, api } of started) {
        const what = {
          kind: "paths" as const,
          paths: target.title === OURS ? paths.ours : paths.peers,
        };
        const spec: LoadSpec = { ...amounts, port: api.port, connections, what };
        const pids = { api: api.pid, mysql: stage.servers.mysqlPid };
        const values = await runLoad(spec, target === EXPRESS_ALONE ? { api: api.pid } : pids);
        stage.record({ bench: "get", case: name, target: target.title, round, values });
      }
  for (const { api } of started) await api.stop();
  await ours.drop();
  await peers.drop();
}

/** Puts items in by hand; resolves with their ids. */
export async function fillOurs({ pool }: Database, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const rows = Array.from({ length: Math.min(ROWS_PER_STATEMENT, count - ids.length) }, () => {
      const now = Date.now();
      return {
        ...{ id: mintWriteId(), version: mintWriteId(), item: { nombre: "Valpo" } },
        ...{ createdAt: now, updatedAt: now, appliedAt: now },
        ...{ deletedAt: null, fingerprint: null, trace: null },
      };
    });
    await insertRows(pool, collections[0] as Collection, rows);
    ids.push(...rows.map(({ id }) => id));
  }
  return ids;
}

async function fillPeers({ pool }: Database, count: number): Promise<number[]> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  for (let first = 0; first < count; first += ROWS_PER_STATEMENT) {
    const rows = numbers.slice(first, first + ROWS_PER_STATEMENT).map((id) => [id, "Valpo"]);
    await query(pool, "INSERT INTO temas (id, nombre) VALUES ?", [rows]);
  }
  return numbers;
}
