import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { PubSub, v1 } from "@google-cloud/pubsub";
import fc from "fast-check";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { encodeWrite, type MessageContent, parseWrite } from "../../common/write.ts";
import { InvalidWriteError, UnknownSchemaError } from "../../common/write-errors.ts";
import { getWriteTime, isWriteId, mintWriteId } from "../../common/write-id.ts";
import { courses } from "../../test/collections/courses.ts";
import { notes } from "../../test/collections/notes.ts";
import { parcels } from "../../test/collections/parcels.ts";
import { teachers } from "../../test/collections/teachers.ts";
import { createTestEnvironment, type TestEnvironment } from "../../test/support/environment.ts";
import { createClient } from "../../test/support/http.ts";
import { selectStored } from "../../test/support/snapshot.ts";
import { until } from "../../test/support/until.ts";
import { addOldWaits } from "../../test/support/waits.ts";
import { formatItem } from "../answers/claims.ts";
import { makeMessage, recipes } from "./messages.ts";

const collections = [data, teachers, courses, parcels, notes];
/** Arbitrary messages of a run, and a good one for every fifth of them. */
const HOSTILE = 40;
const GOOD_EVERY = 5;
/** Enough for each kind of message; `npm run proof -- fuzz-messages` runs more. */
const RUNS = Number(process.env.FUZZ_RUNS || 60);
/** Always the same messages, so that a new failure is a change's. */
const SEED = Number(process.env.FUZZ_SEED || 1);
/** Nacked messages are redelivered a few times meanwhile. */
const DONE_SECONDS = 90;

type Published = MessageContent & { messageId: string };

describe("a message of any content", () => {
  let environment: TestEnvironment;
  let publisher: v1.PublisherClient;
  let pubsub: PubSub;

  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../../test/migrations/", import.meta.url)],
    });
    const { GOOGLE_CLOUD_PROJECT: projectId = "", PUBSUB_EMULATOR_HOST: apiEndpoint = "" } =
      environment.env;
    pubsub = new PubSub({ projectId, apiEndpoint, emulatorMode: true });
    const config = (await pubsub.getClientConfig()) as v1.PublisherClient["_opts"];
    publisher = new v1.PublisherClient(config);
  });
  after(async () => {
    await environment.close();
    await publisher.close();
    await pubsub.close();
  });

  it(`is settled, dead or given back, ${RUNS} times ${HOSTILE} messages, and the good ones are applied`, async (context) => {
    const unknown: Published[] = [];
    // In this process, so that a crash fails the test.
    await environment.startSubscriber({ collections });
    const batches = fc.array(recipes(collections), { minLength: HOSTILE, maxLength: HOSTILE });
    await fc.assert(
      fc.asyncProperty(batches, async (batch) => {
        const hostile = batch.map(makeMessage);
        const good = hostile.filter((_, place) => place % GOOD_EVERY === 0).map(makeGood);
        // What names a version that never comes would be waited for.
        const ids = hostile.map(({ attributes }) => attributes["ce-id"] ?? "").filter(isWriteId);
        await addOldWaits(environment.pool, ids);
        const published = await publish([...hostile, ...good]);
        await waitUntilDone(published);
        unknown.push(...published.filter((message) => findFault(message) === "unknown-schema"));
        const marks = good.map(({ attributes }) => attributes["ce-id"]);
        const rows = await query(environment.pool, "SELECT id FROM data WHERE version IN (?)", [
          marks,
        ]);
        assert.equal(rows.length, good.length, "the good ones are applied");
        await checkContent(published);
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    );
    const [counts] = await query(
      environment.pool,
      "SELECT COUNT(*) AS dead, COUNT(DISTINCT reason) AS reasons FROM dead_letters",
    );
    const [dead, reasons] = [Number(counts?.dead), Number(counts?.reasons)];
    context.diagnostic(
      `${dead} dead, for ${reasons} reasons, and ${unknown.length} given back, of ${RUNS * HOSTILE}`,
    );
    assert.ok(unknown.length > 0, "some were of an unknown schema");
    for (const message of unknown) assert.deepEqual(await findReasons(message), []);
    assert.ok(
      dead > (RUNS * HOSTILE) / 4 && dead < RUNS * HOSTILE,
      "both outcomes were among them",
    );
  });

  it("is answered 204 or 400, and never with a failure, where it is pushed", async () => {
    const env = { DELIVERY: "push", PUSH_AUTH: "off" };
    const { port } = await environment.startSubscriber({ collections, env });
    const push = createClient(`http://127.0.0.1:${port}`);
    const odd = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>("", "\0", [], 1e99));
    const inner = fc.record(
      { messageId: odd, attributes: odd, data: odd, orderingKey: odd },
      { requiredKeys: [] },
    );
    const body = fc.oneof(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.record({ message: fc.oneof(inner, odd) }).map((value) => JSON.stringify(value)),
    );
    const path = fc.constantFrom("/push", "/push/dead-letters");
    await fc.assert(
      fc.asyncProperty(body, path, async (text, at) => {
        const { status } = await push.send("POST", at, { body: text });
        assert.ok([204, 400].includes(status), `${status} to ${text}`);
      }),
      { numRuns: RUNS * 10, seed: SEED },
    );
    const { status } = await push.get("/health/ready");
    assert.equal(status, 200);
  });

  async function publish(messages: readonly MessageContent[]): Promise<Published[]> {
    const { GOOGLE_CLOUD_PROJECT, PUBSUB_TOPIC } = environment.env;
    const topic = `projects/${GOOGLE_CLOUD_PROJECT}/topics/${PUBSUB_TOPIC}`;
    const [{ messageIds }] = await publisher.publish({ topic, messages: [...messages] });
    return messages.map((message, place) => {
      return { ...message, messageId: messageIds?.[place] as string };
    });
  }

  /**
   * Each has one receipt or, where it is no write, a dead letter with a reason. One of an unknown
   * schema is given back, and has neither.
   */
  async function waitUntilDone(published: readonly Published[]): Promise<void> {
    let open = published;
    const look = async () => {
      const undone = await Promise.all(open.map(async (one) => ((await isDone(one)) ? [] : one)));
      open = undone.flat();
      return open.length === 0;
    };
    await until("all is settled or dead", look, DONE_SECONDS).catch((error) => {
      const what = open.map(({ attributes, data: bytes }) => {
        return `${JSON.stringify(attributes)} ${bytes.toString().slice(0, 200)}`;
      });
      throw new Error(`${error.message}: ${what.join("\n")}`);
    });
  }

  /** Each row has the content of the message whose id is its version. */
  async function checkContent(published: readonly Published[]): Promise<void> {
    const good = published.filter((message) => findFault(message) === undefined);
    const writes = good.map((message) => parseWrite(message, collections));
    const describe = ({ item }: { item?: unknown }) => formatItem(item ?? null);
    for (const [collection, own] of Map.groupBy(writes, (write) => write.collection)) {
      const { rows } = await selectStored(environment.pool, collection, own);
      for (const row of rows) {
        const sent = own.filter(({ id }) => id === row.version).map(describe);
        if (sent.length > 0) assert.ok(sent.includes(describe(row)), `${row.id}: ${describe(row)}`);
      }
    }
  }

  /** The reasons of the dead letters that have this message's id, or its write's. */
  async function findReasons({ messageId, attributes }: Published): Promise<string[]> {
    const id = attributes["ce-id"] ?? "";
    const letters = await query(
      environment.pool,
      "SELECT reason FROM dead_letters WHERE message_id = ? OR write_id = ?",
      [messageId, /^[\x20-\x7e]{36}$/.test(id) ? id : null],
    );
    for (const { reason } of letters) assert.ok(reason, `${messageId} is dead without a reason`);
    return letters.map(({ reason }) => String(reason));
  }

  async function isDone(message: Published): Promise<boolean> {
    const id = message.attributes["ce-id"] ?? "";
    const letters = await findReasons(message);
    const fault = findFault(message);
    if (fault === "unknown-schema") return true;
    if (fault) return letters.length > 0;
    const others = collections.map(
      ({ name }) => `(SELECT COUNT(*) FROM ${name} WHERE version = ?)`,
    );
    const [count] = await query(
      environment.pool,
      `SELECT (SELECT COUNT(*) FROM writes WHERE id = ?) + ${others.join(" + ")} AS receipts`,
      [id, ...collections.map(() => id)],
    );
    const receipts = Number(count?.receipts) + letters.length;
    assert.ok(receipts <= 1, `${id} has ${receipts} receipts`);
    return receipts === 1;
  }
});

/** Why it is no write that this version knows; undefined where it is one. */
function findFault(message: MessageContent): string | undefined {
  try {
    return void parseWrite(message, collections);
  } catch (error) {
    if (error instanceof UnknownSchemaError) return "unknown-schema";
    if (error instanceof InvalidWriteError) return error.message;
    throw error;
  }
}

function makeGood(): MessageContent {
  const id = mintWriteId();
  const acceptedAt = getWriteTime(id);
  const item = { nombre: "good" };
  return encodeWrite({ id, kind: "put", collection: data, itemId: `good-${id}`, acceptedAt, item });
}
