import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { query } from "../../common/database.ts";
import {
  BODY_BYTES,
  BULK_RECORDS,
  ERROR_CHARACTERS,
  ITEM_BYTES,
  LISTED_ERRORS,
  PAGE_BYTES,
} from "../../common/limits.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { documents } from "../collections/documents.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import {
  type Answer,
  assertProblem,
  assertProblemBody,
  type Client,
  createClient,
  publishByHand,
} from "../support/http.ts";
import type { ProcessName, Spawned } from "../support/processes.ts";
import { until } from "../support/until.ts";

/** App Engine's F2 has 768 MB, and kills a process that exceeds it without a line in the log. */
const MOST_MB = 700;
const ITEMS = 300;
const TEXT_BYTES = 250_000;
const NDJSON = { "content-type": "application/x-ndjson" };

/** Starts a process with the flags of its file in production. */
async function spawnWithFlags(
  environment: TestEnvironment,
  name: ProcessName,
): Promise<Spawned & { endAndMeasure(): Promise<number> }> {
  const file = new URL(
    name === "api" ? "../../app.yaml" : "../../subscriber.yaml",
    import.meta.url,
  );
  const flags = /^entrypoint: node (.*) --import/m.exec(readFileSync(file, "utf8"))?.[1] ?? "";
  assert.ok(flags.includes("--max-old-space-size"));
  const program = new URL("../support/start-documents.ts", import.meta.url).pathname;
  const spawned = await environment.spawn(name, { LOG_FORMAT: "json" }, [
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

async function insertLargeItems({ pool }: TestEnvironment): Promise<void> {
  await query(
    pool,
    "INSERT INTO documents (id, version, content, created_at, updated_at, applied_at)" +
      " WITH RECURSIVE numbers AS" +
      `  (SELECT 1 AS number UNION ALL SELECT number + 1 FROM numbers WHERE number < ${ITEMS})` +
      " SELECT CONCAT('large-', number), CONCAT(LEFT(?, 24), LPAD(number, 12, '0')), JSON_ARRAY(REPEAT('x', ?)), NOW(3), NOW(3), NOW(3)" +
      " FROM numbers",
    [mintWriteId(), TEXT_BYTES],
  );
}

describe("the memory of a process with the flags of production", () => {
  let environment: TestEnvironment;
  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../migrations/", import.meta.url)],
    });
    await insertLargeItems(environment);
  });
  after(() => environment.close());

  it("suffices the API for the largest pages, items and bodies at once", async () => {
    const process = await spawnWithFlags(environment, "api");
    const api = createClient(process.url);
    const silent = Array.from({ length: 40 }, (_, index) =>
      requestSilently(
        process.port,
        index % 2 ? "/api/documents?limit=1000" : "/api/documents/large-1",
      ),
    );
    const reads = Array.from({ length: 60 }, (_, index) =>
      api.get(index % 2 ? "/api/documents?limit=1000" : `/api/documents/large-${index + 1}`),
    );
    const bodies = listLargestBodies();
    const writes = Array.from({ length: 100 }, (_, index) => {
      const [body, headers] = bodies[index % bodies.length] as (typeof bodies)[number];
      return api.send("POST", "/api/documents", { body, headers });
    });
    const [read, written] = await Promise.all([Promise.all(reads), Promise.all(writes)]);
    for (const answer of read) assertAnswered(answer, [200]);
    for (const answer of written) assertAnswered(answer, [202, 207, 400, 413, 422]);
    for (const socket of silent) socket.destroy();
    await until("all that was held is given back", async () => {
      const [body, headers] = bodies[0] as (typeof bodies)[number];
      const { status } = await api.send("POST", "/api/documents", { body, headers });
      return status === 202;
    });
    const mb = await process.endAndMeasure();
    assert.ok(mb > 50 && mb < MOST_MB, `${mb} MB`);
  });

  it("suffices the subscriber to put and delete the largest items", async () => {
    const writes = Array.from({ length: ITEMS }, (_, index): Write[] => {
      const item = { content: ["y".repeat(TEXT_BYTES)] };
      return (["put", "delete"] as const).map((kind) => {
        const id = mintWriteId();
        const common = { id, kind, collection: documents, itemId: `large-${index + 1}` };
        return { ...common, acceptedAt: getWriteTime(id), item: kind === "put" ? item : undefined };
      });
    }).flat();
    const deletes = writes.filter(({ kind }) => kind === "delete");
    const process = await spawnWithFlags(environment, "subscriber");
    for (let start = 0; start < writes.length; start += 60)
      await publishByHand(environment, writes.slice(start, start + 60).map(encodeWrite));
    await until("all are deleted", async () => {
      const sql = "SELECT COUNT(*) AS count FROM documents WHERE deleted_at IS NOT NULL";
      return Number((await query(environment.pool, sql))[0]?.count) === deletes.length;
    });
    const mb = await process.endAndMeasure();
    assert.ok(mb > 50 && mb < MOST_MB, `${mb} MB`);
  });
});

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
  const large = { content: ["z".repeat(TEXT_BYTES)] };
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

describe("answers", () => {
  let environment: TestEnvironment;
  let api: Client;
  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../migrations/", import.meta.url)],
    });
    await insertLargeItems(environment);
    api = createClient((await environment.startApi({ collections: [documents] })).url);
  });
  after(() => environment.close());

  it("with a page end by its bytes, and the pages have each item once", async () => {
    const ids: string[] = [];
    for (let path: string | undefined = "/api/documents?limit=1000&order=desc"; path; ) {
      const { status, text, body }: Answer = await api.get(path);
      assert.equal(status, 200);
      assert.ok(text.length < PAGE_BYTES + 1_000 && text.length > TEXT_BYTES);
      ids.push(...body.data.map(({ id }) => id));
      if (body.next) assert.ok(text.length > PAGE_BYTES - ITEM_BYTES, "it is as full as it can be");
      path = body.next ? `/api/documents?limit=1000&order=desc&cursor=${body.next}` : undefined;
    }
    assert.deepEqual(ids.length, ITEMS);
    assert.equal(new Set(ids).size, ITEMS);
  });

  it("with many large items that are asked for at once are each right", async () => {
    const numbers = Array.from({ length: 120 }, (_, index) => index + 1);
    const paths = [...numbers.map((number) => `large-${number}`), "absent"];
    const answers = await Promise.all(paths.map((id) => api.get(`/api/documents/${id}`)));
    assertProblem(answers.pop() as Answer, 404, "not-found");
    for (const [index, { status, body }] of answers.entries()) {
      assert.equal(status, 200);
      assert.equal(body.id, paths[index]);
      assert.equal((body.content as string[])[0]?.length, TEXT_BYTES);
    }
  });

  it("with errors list the first of them, cut to a size, and say how many there are", async () => {
    const fields = Object.fromEntries(
      Array.from({ length: 24_000 }, (_, index) => [`f${index}`, 1]),
    );
    const single = await api.post("/api/documents", { content: [], ...fields });
    assertProblem(single, 422, "invalid-item");
    assert.equal(single.body.detail, "The item is not valid: 24000 fields have errors.");
    assert.equal(single.body.errors.length, LISTED_ERRORS.problem);
    const records = [
      ...Array.from({ length: 16 }, () => fields),
      ...Array.from({ length: 9_000 }, () => ({ a: 1, b: 2 })),
    ];
    const bulk = await api.post("/api/documents", records);
    assertProblem(bulk, 422, "invalid-item");
    assert.equal(bulk.body.results.length, records.length);
    const listed = bulk.body.results.flatMap(({ errors }) => errors);
    assert.equal(listed.length, LISTED_ERRORS.bulk);
    for (const result of bulk.body.results) {
      assertProblemBody(result, 422, "invalid-item");
      assert.match(result.detail, /(24001|3) fields have errors\.$/);
    }
    const deep = `{"content":${`{"${"k".repeat(90)}":`.repeat(29)}1${"}".repeat(29)}}`;
    const { errors } = (await api.send("POST", "/api/documents", { body: deep })).body;
    for (const { pointer, detail } of errors) {
      assert.ok(pointer.length <= ERROR_CHARACTERS + 1);
      assert.ok(detail.length <= ERROR_CHARACTERS + 1);
    }
  });
});
