import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { query } from "../../common/database.ts";
import { BODY_BYTES, BULK_RECORDS, WORST_MEMORY_MB } from "../../common/limits.ts";
import { encodeWrite, type MessageContent, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { documents } from "../../test/collections/documents.ts";
import { createTestEnvironment, type TestEnvironment } from "../../test/support/environment.ts";
import {
  type Answer,
  assertProblem,
  createClient,
  publishByHand,
} from "../../test/support/http.ts";
import { insertLargeItems, LARGE_ITEMS } from "../../test/support/large-items.ts";
import type { ProcessName, Spawned } from "../../test/support/processes.ts";
import { wrap } from "../../test/support/pusher.ts";
import { until } from "../../test/support/until.ts";

/** Of Pub/Sub, with room for its attributes. */
const LARGEST_MESSAGE_BYTES = 9_900_000;
const LARGEST_PAGE = "/api/documents?limit=1000";
const PUSH_BACKOFF_MS = 200;
const TIMEOUT = { timeout: 120_000 };
const NDJSON = { "content-type": "application/x-ndjson" };

/** Starts a process with the flags of its file in production. */
async function spawnWithFlags(
  environment: TestEnvironment,
  name: ProcessName,
  env: Record<string, string> = {},
): Promise<Spawned & { endAndMeasure(): Promise<number> }> {
  const file = new URL(
    name === "api" ? "../../app.yaml" : "../../subscriber.yaml",
    import.meta.url,
  );
  const flags = /^entrypoint: node (.*) --import/m.exec(readFileSync(file, "utf8"))?.[1] ?? "";
  assert.ok(flags.includes("--max-old-space-size"));
  const program = new URL("../../test/support/start-documents.ts", import.meta.url).pathname;
  const spawned = await environment.spawn(name, { LOG_FORMAT: "json", ...env }, [
    ...flags.split(" "),
    program,
    name,
  ]);
  return {
    ...spawned,
    /** Ends it; the most memory that it had, in MB. */
    async endAndMeasure() {
      const closed = once(spawned.child, "close");
      await spawned.end();
      await closed;
      return Number(/maxRSS (\d+) kB/.exec(spawned.output())?.[1]) / 1_000;
    },
  };
}

describe("the memory of a process with the flags of production", () => {
  let environment: TestEnvironment;
  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../../test/migrations/", import.meta.url)],
    });
    await insertLargeItems(environment);
  });
  after(() => environment.close());

  it("suffices the API for the largest pages, items and bodies at once", async () => {
    const process = await spawnWithFlags(environment, "api");
    const api = createClient(process.url);
    const paths = Array.from({ length: 60 }, (_, index) =>
      index % 2 ? LARGEST_PAGE : `/api/documents/large-${index + 1}`,
    );
    const reads = paths.map((path) => api.get(path));
    // One of each is answered before the rest comes: a process that refuses all would need little.
    const isOk = async (reading: Promise<Answer>) => assert.equal((await reading).status, 200);
    for (const kind of [0, 1])
      await Promise.any(reads.filter((_, index) => index % 2 === kind).map(isOk));
    const silent = paths.slice(0, 40).map((path) => requestSilently(process.port, path));
    const bodies = listLargestBodies();
    const writes = Array.from({ length: 84 }, (_, index) => {
      const [body, headers] = bodies[index % bodies.length] as (typeof bodies)[number];
      return api.send("POST", "/api/documents", { body, headers });
    });
    const [read, written] = await Promise.all([Promise.all(reads), Promise.all(writes)]);
    for (const answer of read) assertAnswered(answer, [200]);
    // 408: on a machine that is busy with other work, a body may take longer than a minute.
    for (const answer of written) assertAnswered(answer, [202, 207, 400, 408, 413, 422]);
    assert.ok(written.some(({ status }) => status === 202 || status === 207));
    for (const socket of silent) socket.destroy();
    await until("all that was held is given back", async () => {
      const [body, headers] = bodies[0] as (typeof bodies)[number];
      const { status } = await api.send("POST", "/api/documents", { body, headers });
      return status === 202 && (await api.get(LARGEST_PAGE)).status === 200;
    });
    await assertMemory(process);
  });

  it("suffices the subscriber to put and delete the largest items, pulled", TIMEOUT, async () => {
    const process = await spawnWithFlags(environment, "subscriber");
    const [puts, deletes] = listWrites(LARGE_ITEMS.count / 2);
    const writes = [...puts, ...deletes];
    for (let start = 0; start < writes.length; start += 30)
      await publishByHand(environment, writes.slice(start, start + 30).map(encodeWrite));
    await until("all are deleted", () => areApplied(environment, deletes));
    await assertMemory(process);
  });

  it("suffices the subscriber for the largest items and messages, pushed", TIMEOUT, async () => {
    const env = { DELIVERY: "push", PUSH_AUTH: "off" };
    const process = await spawnWithFlags(environment, "subscriber", env);
    const [puts, deletes] = listWrites(LARGE_ITEMS.count);
    const letter = { attributes: {}, data: Buffer.alloc(LARGEST_MESSAGE_BYTES) };
    // The bodies of each wave are nearly as much as PUSHES_BYTES.
    await pushAll(process.url, puts.map(encodeWrite));
    await pushAll(process.url, Array(7).fill(letter));
    await pushAll(process.url, deletes.map(encodeWrite));
    assert.ok(await areApplied(environment, deletes));
    await assertMemory(process);
  });
});

async function assertMemory(process: { endAndMeasure(): Promise<number> }): Promise<void> {
  const mb = await process.endAndMeasure();
  assert.ok(mb > 50 && mb < WORST_MEMORY_MB, `${mb} MB`);
}

/** Puts of large items, and their deletes. */
function listWrites(items: number): [puts: Write[], deletes: Write[]] {
  const item = { content: ["y".repeat(LARGE_ITEMS.textBytes)] };
  const list = (kind: "put" | "delete") =>
    Array.from({ length: items }, (_, index): Write => {
      const id = mintWriteId();
      const common = { id, kind, collection: documents, itemId: `large-${index + 1}` };
      return { ...common, acceptedAt: getWriteTime(id), item: kind === "put" ? item : undefined };
    });
  return [list("put"), list("delete")];
}

async function areApplied({ pool }: TestEnvironment, writes: readonly Write[]): Promise<boolean> {
  const sql = "SELECT COUNT(*) AS count FROM documents WHERE version IN (?)";
  const [row] = await query(pool, sql, [writes.map(({ id }) => id)]);
  return Number(row?.count) === writes.length;
}

/** Pushes all at once, and again what is answered 503. */
async function pushAll(url: string, messages: readonly MessageContent[]): Promise<void> {
  const client = createClient(url);
  await Promise.all(
    messages.map(async (message, index) => {
      for (;;) {
        const body = wrap(message, `${Date.now()}-${index}`);
        const { status } = await client.send("POST", "/push", { body });
        if (status === 204) return;
        assert.equal(status, 503);
        await sleep(PUSH_BACKOFF_MS);
      }
    }),
  );
}

/** Answered as expected, or 503 with all that belongs to it. */
function assertAnswered(answer: Answer, statuses: readonly number[]): void {
  if (answer.status === 503) assertProblem(answer, 503, "unavailable");
  else assert.ok(statuses.includes(answer.status), answer.text.slice(0, 500));
}

/** Asks for something and reads nothing. */
function requestSilently(port: number, path: string): Socket {
  const socket = connect(port, "127.0.0.1").pause();
  socket.on("error", () => {}).write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return socket;
}

/** Bodies of the largest size, each as expensive as it can be in its own way; the first is accepted. */
function listLargestBodies(): [string | Uint8Array, Record<string, string>][] {
  const large = { content: ["z".repeat(LARGE_ITEMS.textBytes)] };
  const emptyObjects = `{"content":[${"{},".repeat(80_000)}{}]}`;
  const unknownFields = JSON.stringify(
    Object.fromEntries(Array.from({ length: 24_000 }, (_, index) => [`f${index}`, 1])),
  );
  const fill = (record: string) =>
    `[${Array(Math.floor(BODY_BYTES / (record.length + 1)) - 1)
      .fill(record)
      .join(",")}]`;
  return [
    [fill(JSON.stringify(large)), {}],
    [fill(emptyObjects), {}],
    [fill(unknownFields), {}],
    [`${JSON.stringify({ content: ["x".repeat(380)] })}\n`.repeat(BULK_RECORDS), NDJSON],
    [fill("{}"), {}],
    [gzipSync("\n".repeat(BODY_BYTES)), { ...NDJSON, "content-encoding": "gzip" }],
    [gzipSync("{}\n".repeat(BULK_RECORDS)), { ...NDJSON, "content-encoding": "gzip" }],
  ];
}
