import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import type { Collection } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import type { Item } from "../../common/item-check.ts";
import { createLogger } from "../../common/telemetry/logger.ts";
import { encodeWrite, type MessageContent } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { createSettle } from "../../subscriber/settle.ts";
import { courses } from "../collections/courses.ts";
import { teachers } from "../collections/teachers.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, publishByHand } from "../support/http.ts";
import { until } from "../support/until.ts";

const collections = [data, teachers, courses];

/** A message as the API would publish it. */
function buildMessage(collection: Collection, itemId: string, item: Item): MessageContent {
  const id = mintWriteId();
  const acceptedAt = getWriteTime(id);
  return encodeWrite({ id, kind: "put", collection, itemId, acceptedAt, item });
}

const formatReceiptPath = ({ attributes }: MessageContent) =>
  `${attributes["ce-source"]}/${attributes["ce-subject"]}/writes/${attributes["ce-id"]}`;

describe("a message that can never be settled as a write", () => {
  const { environment, api } = startApi({ collections, subscriber: true });

  /**
   * Publishes a bad message between good ones, and waits until the good ones are applied and the bad
   * one is dead. Returns its dead letter.
   */
  async function publishBetween(bad: MessageContent) {
    const mintName = () => `neighbour-${mintWriteId()}`;
    const good = Array.from({ length: 10 }, () =>
      buildMessage(data, mintName(), { nombre: "good" }),
    );
    const messages = [...good.slice(0, 5), bad, ...good.slice(5)];
    const messageId = (await publishByHand(environment, messages))[5];
    for (const message of good)
      assert.equal((await api.settled(formatReceiptPath(message))).outcome, "applied");
    const find = () =>
      query(environment.pool, "SELECT * FROM dead_letters WHERE message_id = ?", [messageId]);
    await until("it is dead", async () => (await find()).length === 1);
    const [letter] = await find();
    assert.ok(letter);
    assert.deepEqual(JSON.parse(String(letter.attributes)), bad.attributes);
    assert.deepEqual(letter.data, bad.data);
    return { reason: String(letter.reason), writeId: letter.write_id };
  }

  /** The message of a write, with these attributes or data changed. */
  function spoil(attributes: Record<string, string | undefined>, bytes?: string | Buffer) {
    const sound = buildMessage(data, "spoilt", { nombre: "x" });
    const entries = Object.entries({ ...sound.attributes, ...attributes });
    const kept = entries.filter((entry): entry is [string, string] => entry[1] !== undefined);
    return {
      attributes: Object.fromEntries(kept),
      data: bytes === undefined ? sound.data : Buffer.from(bytes as string),
    };
  }

  it("is dead where it is no CloudEvent, or not one of ours, and its neighbours are settled", async () => {
    const strange: [MessageContent, RegExp][] = [
      [{ attributes: { hello: "world" }, data: Buffer.from("hi") }, /not a CloudEvent/],
      [spoil({ "ce-specversion": undefined }), /ce-specversion is missing/],
      [spoil({ "ce-type": "com.example.other" }), /"com\.example\.other" is not known/],
      [spoil({ "ce-source": undefined }), /collection of missing is not declared/],
      [spoil({ schema: "first" }), /schema "first" is not a whole number/],
      [spoil({ "ce-id": "1" }), /write id "1"/],
      [spoil({ "ce-id": "😀".repeat(100) }), /write id/],
      [spoil({ "ce-subject": "no/id" }), /item id "no\/id"/],
      [spoil({ "ce-subject": undefined }), /item id ""/],
      [spoil({ "if-match": "x" }), /if-match "x"/],
      [spoil({ fingerprint: "x" }), /fingerprint/],
    ];
    for (const [message, reason] of strange) {
      const letter = await publishBetween(message);
      assert.match(letter.reason, reason);
      const id = message.attributes["ce-id"];
      assert.equal(letter.writeId, id && id.length === 36 ? id : null);
    }
  });

  it("is dead where it is of a future version, and its receipt says so", async () => {
    const message = spoil({ "ce-specversion": "2.0" });
    const { reason, writeId } = await publishBetween(message);
    assert.match(reason, /not a CloudEvent of version 1\.0: ce-specversion is "2\.0"/);
    assert.equal(writeId, message.attributes["ce-id"]);
    const receipt = await api.settled(formatReceiptPath(message));
    assert.equal(receipt.outcome, "dead");
    assert.equal(receipt.reason, reason);
    assert.equal(receipt.version, null);
  });

  it("is dead where its data is no item of the collection", async () => {
    const bodies: [string | Buffer, RegExp][] = [
      ["{", /not JSON/],
      ["", /not JSON/],
      [Buffer.from([0xff, 0xfe]), /not JSON/],
      ["null", /not valid/],
      ["[]", /not valid/],
      ['{"nombre":""}', /nombre must have at least 1/],
      ['{"nombre":"x","colour":1}', /colour is not a field/],
      ['{"nombre":"\\u0000"}', /nombre must be well-formed/],
      [`{"nombre":${"[".repeat(50_000)}${"]".repeat(50_000)}}`, /: nombre must be nested/],
    ];
    for (const [body, reason] of bodies) {
      const message = spoil({}, body);
      assert.match((await publishBetween(message)).reason, reason);
      assert.equal((await api.settled(formatReceiptPath(message))).outcome, "dead");
    }
    assertProblem(await api.get("/api/data/spoilt"), 404, "not-found");
  });

  it("is dead though it is as large as Pub/Sub takes", async () => {
    const bytes = Buffer.alloc(9_990_000, "'");
    assert.match((await publishBetween(spoil({}, bytes))).reason, /not JSON/);
  });

  it("is dead where the table refuses what the collection allows", async () => {
    const refused = { ...courses.example, title: "Algebra", price: 0 };
    const message = buildMessage(courses, "free-algebra", refused);
    const { reason } = await publishBetween(message);
    assert.match(reason, /MySQL refused the item: .*no_free_algebra/);
    assert.doesNotMatch(reason, /INSERT/);
    const receipt = await api.settled(formatReceiptPath(message));
    assert.equal(receipt.outcome, "dead");
    // MySQL's own sentence is for operators; clients get ours.
    const words = "The database refused the item: it breaks the table's rule no_free_algebra.";
    assert.equal(receipt.reason, words);
    const waited = await api.put("/api/courses/free-algebra", refused, { prefer: "wait=20" });
    assertProblem(waited, 422, "dead-write");
    assert.equal(waited.body.detail, receipt.reason);
    assertProblem(await api.get("/api/courses/free-algebra"), 404, "not-found");
  });

  it("leaves the other writes of its collection alone, wherever it is in the batch", async () => {
    const titles = ["Logic", "Algebra", "Sets", "Algebra", "Graphs", "Algebra", "Groups"];
    const messages = titles.map((title, index) =>
      buildMessage(courses, `batch-${index}`, { ...courses.example, title, price: 0 }),
    );
    await publishByHand(environment, messages);
    for (const [index, message] of messages.entries()) {
      const isRefused = titles[index] === "Algebra";
      const { outcome } = await api.settled(formatReceiptPath(message));
      assert.equal(outcome, isRefused ? "dead" : "applied");
      const { status } = await api.get(`/api/courses/batch-${index}`);
      assert.equal(status, isRefused ? 404 : 200);
    }
  });

  it("is settled in one transaction with its batch, whatever the other writes are", async () => {
    const titles = Array.from({ length: 40 }, (_, place) =>
      place % 13 === 5 ? "Algebra" : "Sets",
    );
    const messages = titles.map((title, place) => {
      const item = `among-${place % 30}`;
      return buildMessage(courses, item, { ...courses.example, title, price: 0 });
    });
    const logged: unknown[] = [];
    const logger = await createLogger({
      service: "s",
      projectId: "p",
      format: "json",
      level: "info",
    });
    logger.info = (_: unknown, fields?: { outcomes: object }) => {
      logged.push(fields?.outcomes);
      return logger;
    };
    const settle = createSettle({
      pool: environment.pool,
      collections,
      logger,
      holdMs: 0,
      stop: new AbortController().signal,
    });
    const decisions = await settle(
      messages.map((message, place) => ({ ...message, messageId: `among-${place}` })),
    );
    // Place 5 is replaced by 35 before MySQL sees it. 18 and 31 are refused; the item of 31 stays as
    // place 1 made it.
    assert.deepEqual(
      decisions.map((decision) => ("outcome" in decision ? decision.outcome : decision)),
      titles.map((_, place) => (place === 18 || place === 31 ? "dead" : "applied")),
    );
    assert.deepEqual(logged, [{ applied: 38, dead: 2 }]);
    for (const item of ["among-1", "among-5", "among-18"]) {
      const { status } = await api.get(`/api/courses/${item}`);
      assert.equal(status, item === "among-18" ? 404 : 200, item);
    }
  });

  it("is reported to the client that waits for it, and to the one that asks later", async () => {
    const refused = { ...courses.example, title: "Algebra", price: 0 };
    const answer = await api.post("/api/courses", refused, { prefer: "wait=30" });
    assertProblem(answer, 422, "dead-write");
    assert.match(answer.body.detail, /no_free_algebra/);
    assert.equal((await api.settled(answer.body.receipt)).outcome, "dead");
    const many = await api.post("/api/courses", [refused, courses.example], {
      prefer: "wait=30",
    });
    assert.equal(many.status, 207);
    assert.deepEqual(
      many.body.results.map(({ status, outcome }) => [status, outcome]),
      [
        [422, "dead"],
        [201, "applied"],
      ],
    );
  });

  it("leaves an item as it was when a put to it is refused, and the next put is applied", async () => {
    const put = (title: string) =>
      api.put("/api/courses/stays", { ...courses.example, title, price: 0 }, { prefer: "wait=30" });
    assert.equal((await put("Logic")).status, 201);
    assertProblem(await put("Algebra"), 422, "dead-write");
    assert.equal((await api.get("/api/courses/stays")).body.title, "Logic");
    assert.equal((await put("Sets")).status, 200);
  });

  it("is one dead letter, however often it is delivered", async () => {
    const message = spoil({ "ce-specversion": "3.0" });
    await publishBetween(message);
    const [again = ""] = await publishByHand(environment, [message]);
    const after = buildMessage(data, "after-it", { nombre: "x" });
    await publishByHand(environment, [after]);
    await api.settled(formatReceiptPath(after));
    const letters = await query(
      environment.pool,
      "SELECT message_id FROM dead_letters WHERE write_id = ? OR message_id = ?",
      [message.attributes["ce-id"], again],
    );
    assert.equal(letters.length, 1);
  });
});
