import { createHash } from "node:crypto";
import { query } from "../../common/database.ts";
import { createTestEnvironment, type TestEnvironment } from "../../test/support/environment.ts";
import type { Spawned } from "../../test/support/processes.ts";
import { readSnapshot } from "../../test/support/snapshot.ts";
import { until } from "../../test/support/until.ts";
import type { ClaimLog } from "../answers/claims.ts";
import { startWitness, type Witness } from "../cluster/witness.ts";
import { judgeFuzzed } from "./answers.ts";
import { FUZZED_COLLECTIONS } from "./collections.ts";
import { type Document, type Json, readDocument } from "./document.ts";
import type { Confirmed } from "./judge.ts";

/** A process that leaks runs out of memory; by default, garbage alone grows to many times this. */
const HEAP = "--max-old-space-size=192";
const SERVE = new URL("serve.ts", import.meta.url).pathname;
/** Low enough to be reached by clients with the same key or address. */
const RATE_LIMIT_PER_MINUTE = 1_000;
/** A condition on a write in flight waits for a minute. */
const SETTLE_SECONDS = 90;
const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");

/** Read from `/metrics`. */
export type Figures = { accepted: number; heapBytes: number; descriptors: number };

/** An API process that is fuzzed, and the writes that it confirmed. */
export type Target = {
  name: string;
  api: Spawned;
  confirmed: Confirmed;
  /** Accepted but unconfirmed writes that were reported already. */
  found: number;
  /** Throws where the API does not answer. */
  figures(): Promise<Figures>;
};

/** The processes under test: an open API, one with keys, rate limit and CORS, and a subscriber. */
export type FuzzEnvironment = {
  document: Document;
  targets: [open: Target, guarded: Target];
  processes: Spawned[];
  /** Waits until all is settled; returns what is missing and what refused writes left behind. */
  findTraces(): Promise<string[]>;
  /** Returns what is wrong with the answers in the log. Call it once all is settled. */
  judgeAnswers(log: ClaimLog): Promise<string[]>;
  close(): Promise<void>;
};

/** Starts them, on the tests' servers where none are given. */
export async function createFuzzEnvironment(servers?: {
  mysqlUrl: string;
  pubsubHost: string;
}): Promise<FuzzEnvironment> {
  const migrations = [new URL("../../test/migrations/", import.meta.url)];
  const environment = await createTestEnvironment({ migrations, ...servers });
  let witness: Witness | undefined;
  const close = async () => {
    await witness?.close();
    await environment.close();
  };
  try {
    const { PUBSUB_EMULATOR_HOST, GOOGLE_CLOUD_PROJECT, PUBSUB_TOPIC } = environment.env;
    const published = await startWitness({
      host: PUBSUB_EMULATOR_HOST as string,
      projectId: GOOGLE_CLOUD_PROJECT as string,
      topic: PUBSUB_TOPIC as string,
      collections: FUZZED_COLLECTIONS,
    });
    witness = published;
    const start = (name: "api" | "subscriber", env: Record<string, string> = {}) =>
      environment.spawn(name, env, [HEAP, SERVE, name]);
    const guards = {
      API_KEYS: `reader ${sha256("reader")} *:read\nwriter ${sha256("writer")} *:read *:write operate`,
      ACCESS: "keys",
      CORS_ORIGINS: "https://app.example",
      CLIENT_ADDRESS: "appengine",
      RATE_LIMIT_PER_MINUTE: String(RATE_LIMIT_PER_MINUTE),
    };
    const [open, guarded, subscriber] = await Promise.all([
      start("api", { METRICS: "on" }),
      start("api", { METRICS: "on", ...guards }),
      start("subscriber"),
    ]);
    const described = await fetch(`${open.url}/openapi.json`);
    const targets: FuzzEnvironment["targets"] = [
      createTarget("open", open),
      createTarget("guarded", guarded),
    ];
    return {
      document: readDocument((await described.json()) as Json),
      targets,
      processes: [open, guarded, subscriber],
      findTraces: () => findTraces(environment, targets),
      judgeAnswers: (log) => judgeAnswers(log, environment, published),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function createTarget(name: string, api: Spawned): Target {
  return {
    name,
    api,
    confirmed: { receipts: [], unnamed: 0, unknown: 0 },
    found: 0,
    async figures() {
      const headers = { authorization: "Bearer writer" };
      const response = await fetch(`${api.url}/metrics`, name === "open" ? {} : { headers });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`/metrics answers ${response.status}: ${text}`);
      const sum = (metric: string) =>
        [...text.matchAll(new RegExp(`^${metric}(?:\\{.*\\})? (\\S+)$`, "gm"))]
          .map(([, value]) => Number(value))
          .reduce((total, value) => total + value, 0);
      return {
        accepted: sum("constancia_writes_accepted_total"),
        heapBytes: sum("nodejs_heap_size_used_bytes"),
        descriptors: sum("process_open_fds"),
      };
    },
  };
}

/** Compares the receipts in MySQL with the confirmed writes. */
async function findTraces(
  { pool }: TestEnvironment,
  targets: readonly Target[],
): Promise<string[]> {
  const confirmed = new Set(
    targets.flatMap((target) => target.confirmed.receipts.map(parseWriteId)),
  );
  const unnamed = targets.reduce((sum, target) => sum + target.confirmed.unnamed, 0);
  const unknown = targets.reduce((sum, target) => sum + target.confirmed.unknown, 0);
  let receipts = await readReceipts(pool);
  await until(
    "all writes are settled",
    async () => {
      receipts = await readReceipts(pool);
      const settled = new Set(receipts);
      return receipts.length >= confirmed.size + unnamed && confirmed.isSubsetOf(settled);
    },
    SETTLE_SECONDS,
  ).catch(() => {});
  const faults: string[] = [];
  const settled = new Set(receipts);
  const missing = confirmed.difference(settled);
  if (missing.size > 0) faults.push(`${missing.size} writes without receipt: ${[...missing][0]}`);
  if (settled.size !== receipts.length) faults.push("a write has two receipts");
  const unconfirmed = receipts.filter((write) => !confirmed.has(write));
  if (unconfirmed.length < unnamed || unconfirmed.length > unnamed + unknown)
    faults.push(
      `${unconfirmed.length - unnamed} receipts of unconfirmed writes: ${unconfirmed[0]}`,
    );
  return faults;
}

/** Waits until the witness has seen every write that has a receipt. */
async function judgeAnswers(
  log: ClaimLog,
  { pool }: TestEnvironment,
  { writes }: Witness,
): Promise<string[]> {
  const receipts = await readReceipts(pool);
  const isSeen = () => receipts.every((write) => writes.has(write));
  await until("the witness has every write", isSeen, SETTLE_SECONDS).catch(() => {});
  return judgeFuzzed(log, pool, [...writes.values()]);
}

function readReceipts(pool: TestEnvironment["pool"]): Promise<string[]> {
  const sources = [
    ...FUZZED_COLLECTIONS.map(({ name }) => `version AS id FROM ${name}`),
    "id FROM writes",
    "write_id AS id FROM dead_letters",
  ];
  return readSnapshot(pool, async (connection) => {
    const ids: string[] = [];
    for (const source of sources)
      for (const { id } of await query(connection, `SELECT ${source}`)) ids.push(String(id));
    return ids;
  });
}

function parseWriteId(receipt: string): string {
  return receipt.slice(receipt.lastIndexOf("/") + 1);
}
