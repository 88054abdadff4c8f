import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Collection } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import type { Item } from "../../common/item-check.ts";
import { encodeWrite, type MessageContent } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { planReplay, selectLetters } from "../../ops/replay.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient } from "../support/http.ts";
import { wrap } from "../support/pusher.ts";
import {
  createTables,
  newer,
  newerOrders,
  older,
  olderOrders,
  rooms,
} from "../support/releases.ts";
import { readSnapshot } from "../support/snapshot.ts";
import { until } from "../support/until.ts";

const RETENTION_DAYS = 30;

function makeMessage(
  collection: Collection,
  itemId: string,
  kind: "put" | "delete" = "put",
): MessageContent & { id: string } {
  const id = mintWriteId();
  const acceptedAt = getWriteTime(id);
  const item = kind === "put" ? collection.example : undefined;
  return { id, ...encodeWrite({ id, kind, collection, itemId, acceptedAt, item }) };
}

describe("a subscriber of the release before", () => {
  let environment: TestEnvironment;
  let push: Client;
  before(async () => {
    environment = await createTestEnvironment();
    await createTables(environment);
    push = await startPush(older);
  });
  after(() => environment.close());

  async function startPush(collections: readonly Collection[]): Promise<Client> {
    const env = { DELIVERY: "push", PUSH_AUTH: "off" };
    const { port } = await environment.startSubscriber({ collections, env });
    return createClient(`http://127.0.0.1:${port}`);
  }
  const deliver = async (client: Client, message: MessageContent, path = "/push") => {
    const body = wrap(message, `m-${message.attributes["ce-id"]}`);
    return (await client.send("POST", path, { body })).status;
  };
  const findLetters = (id: string) => selectLetters(environment.pool, "WHERE write_id = ?", [id]);

  const unknown: [string, Collection, Record<string, string>][] = [
    ["a field and a value that it does not know", newerOrders, {}],
    ["a collection that it does not know", rooms, {}],
    ["a kind of write that it does not know", olderOrders, { "ce-type": "dev.constancia.patch" }],
    ["an attribute that it does not know", olderOrders, { "not-before": "2026-12-01" }],
  ];
  for (const [what, collection, more] of unknown)
    it(`gives back a write with ${what}, until Pub/Sub gives it up; then it is kept whole`, async () => {
      const { id, attributes, data } = makeMessage(collection, "given-back");
      const message = { attributes: { ...attributes, ...more }, data };
      for (let time = 1; time <= 2; time += 1) assert.equal(await deliver(push, message), 503);
      assert.deepEqual(await findLetters(id), []);
      assert.equal(await deliver(push, message, "/push/dead-letters"), 204);
      const [letter] = await findLetters(id);
      assert.match(
        letter?.reason ?? "",
        /^unknown-schema: The .* (known to this version|declared)/,
      );
      assert.deepEqual(letter?.attributes, message.attributes);
      assert.deepEqual(letter?.data, data);
    });

  it("settles what comes with those that it gives back, in one batch", async () => {
    const good = makeMessage(olderOrders, "good");
    const statuses = await Promise.all([
      deliver(push, makeMessage(newerOrders, "not-known")),
      deliver(push, good),
    ]);
    assert.deepEqual(statuses, [503, 204]);
  });

  it("makes dead at once what fails at a number that it knows", async () => {
    const { id, attributes } = makeMessage(olderOrders, "wrong");
    const data = Buffer.from('{"title":"","size":"small"}');
    assert.equal(await deliver(push, { attributes, data }), 204);
    assert.match((await findLetters(id))[0]?.reason ?? "", /^The item is not valid: title must/);
  });

  it("leaves nothing of the next release's fields in an item that it replaces or deletes", async () => {
    const next = await startPush(newer);
    for (const kind of ["put", "delete"] as const) {
      assert.equal(await deliver(next, makeMessage(newerOrders, kind)), 204);
      const message = makeMessage(olderOrders, kind, kind);
      assert.equal(await deliver(push, message), 204);
      const [row] = await query(
        environment.pool,
        "SELECT version, title, note FROM orders WHERE id = ?",
        [kind],
      );
      const title = kind === "put" ? "older" : null;
      assert.deepEqual(row, { version: message.id, title, note: null });
    }
  });

  it("leaves letters that the next release replays", async () => {
    const message = makeMessage(newerOrders, "replayed");
    assert.equal(await deliver(push, message, "/push/dead-letters"), 204);
    const [letter] = await findLetters(message.id);
    assert.ok(letter);
    const early = await planReplay(environment.pool, letter, older, RETENTION_DAYS);
    assert.match("obstacle" in early ? early.obstacle : "", /^The schema 2 of orders is not known/);
    const plan = await planReplay(environment.pool, letter, newer, RETENTION_DAYS);
    assert.ok("write" in plan);
    const next = await startPush(newer);
    assert.equal(await deliver(next, encodeWrite(plan.write)), 204);
    const [row] = await query(environment.pool, "SELECT note FROM orders WHERE id = 'replayed'");
    assert.deepEqual(row, { note: "x" });
  });
});

type Accepted = { collection: string; id: string; write: string; item: Item };

/** Clients of one API, which write as fast as they are answered. */
class Writers {
  readonly accepted: Accepted[] = [];
  #sent = 0;
  readonly #client: Client;
  readonly #collections: readonly Collection[];

  constructor(url: string, collections: readonly Collection[]) {
    this.#client = createClient(url);
    this.#collections = collections;
  }

  /** Resolves when so many more writes are accepted. */
  async write(count: number): Promise<void> {
    const end = this.#sent + count;
    const run = async () => {
      while (this.#sent < end) await this.#writeOne();
    };
    await Promise.all(Array.from({ length: CLIENTS }, run));
  }

  async #writeOne(): Promise<void> {
    const number = this.#sent;
    this.#sent += 1;
    const { name, example } = this.#collections[number % this.#collections.length] as Collection;
    const item = { ...example, title: `${example.title} ${number}` };
    // Every third on one of a few items, which the clients of both releases write.
    const { status, body } = await (number % 3 === 0
      ? this.#client.put(`/api/${name}/hot-${number % HOT_IDS}`, item)
      : this.#client.post(`/api/${name}`, item));
    assert.equal(status, 202);
    this.accepted.push({ collection: name, id: body.id, write: body.write, item });
  }
}
const CLIENTS = 4;
const HOT_IDS = 30;
/** Of each release's clients. */
const WRITES_IN_A_PHASE = 500;
/** A message that was given back a few times comes again after up to ten seconds. */
const SETTLED_SECONDS = 120;

describe("two releases side by side, under load", () => {
  let environment: TestEnvironment;
  before(async () => {
    environment = await createTestEnvironment();
    await createTables(environment);
  });
  after(() => environment.close());

  /** The outcomes of all writes, by id. */
  async function readOutcomes(): Promise<Map<string, string>> {
    const receipts = await readSnapshot(environment.pool, (connection) =>
      query(
        connection,
        "SELECT version AS id, 'applied' AS outcome FROM orders" +
          " UNION ALL SELECT version, 'applied' FROM rooms" +
          " UNION ALL SELECT id, outcome FROM writes" +
          " UNION ALL SELECT COALESCE(write_id, message_id), 'dead' FROM dead_letters",
      ),
    );
    const outcomes = new Map(receipts.map(({ id, outcome }) => [String(id), String(outcome)]));
    assert.equal(outcomes.size, receipts.length, "a write has two receipts");
    assert.ok(![...outcomes.values()].includes("dead"), "a good write is dead");
    return outcomes;
  }

  async function untilSettled(accepted: readonly Accepted[], what: string): Promise<void> {
    await until(
      what,
      async () => {
        const outcomes = await readOutcomes();
        return accepted.every(({ write }) => outcomes.has(write));
      },
      SETTLED_SECONDS,
    );
  }

  it("lose nothing and make nothing dead, in a rollout, in a rollback, and forward again", async () => {
    const [olderApi, newerApi] = await Promise.all([
      environment.startApi({ collections: older }),
      environment.startApi({ collections: newer }),
    ]);
    const olderWriters = new Writers(olderApi.url, older);
    const newerWriters = new Writers(newerApi.url, newer);
    // The subscribers of each phase start and work while the clients of both releases write.
    for (const releases of [[older], [older, newer], [newer], [older], [newer]]) {
      const from = newerWriters.accepted.length;
      const writing = Promise.all([
        olderWriters.write(WRITES_IN_A_PHASE),
        newerWriters.write(WRITES_IN_A_PHASE),
      ]);
      const subscribers = await Promise.all(
        releases.map((collections) => environment.startSubscriber({ collections })),
      );
      await writing;
      // In a rollout the older one stops once the newer one works, which settles what it gave back.
      await Promise.all(subscribers.slice(0, -1).map((subscriber) => subscriber.stop()));
      const written = newerWriters.accepted.slice(from);
      await untilSettled(olderWriters.accepted, "the older API's writes are settled");
      if (releases.includes(newer))
        await untilSettled(newerWriters.accepted, "the newer API's writes are settled");
      else {
        const outcomes = await readOutcomes();
        const settled = written.filter(({ write }) => outcomes.has(write));
        assert.deepEqual(settled, [], "it settled what it cannot know");
      }
      await subscribers.at(-1)?.stop();
    }
    await checkItems([...olderWriters.accepted, ...newerWriters.accepted]);
  });

  /** Every item has a row, and every row is what its version wrote. */
  async function checkItems(accepted: readonly Accepted[]): Promise<void> {
    const byWrite = new Map(accepted.map((one) => [one.write, one] as const));
    const rows = await query(
      environment.pool,
      "SELECT 'orders' AS collection, id, version, title, size, note FROM orders" +
        " UNION ALL SELECT 'rooms', id, version, title, NULL, NULL FROM rooms",
    );
    const getKey = (one: { collection?: unknown; id?: unknown }) => `${one.collection}/${one.id}`;
    assert.deepEqual(new Set(rows.map(getKey)), new Set(accepted.map(getKey)));
    for (const row of rows) {
      const { item = {}, collection } = byWrite.get(String(row.version)) ?? {};
      assert.equal(collection, row.collection);
      assert.equal(row.title, item.title);
      assert.equal(row.size, item.size ?? null);
      // A write of the older release knows no note, so that its item has none.
      assert.equal(row.note, item.note ?? null);
    }
  }
});
