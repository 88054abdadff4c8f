import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { berths } from "../test/collections/berths.ts";
import { courses } from "../test/collections/courses.ts";
import { notes } from "../test/collections/notes.ts";
import { seats } from "../test/collections/seats.ts";
import { teachers } from "../test/collections/teachers.ts";
import { computeFingerprint } from "./fingerprint.ts";
import type { Item } from "./item-check.ts";
import {
  ATTRIBUTES,
  checkWrite,
  encodeWrite,
  isConditional,
  listWriteIds,
  type MessageContent,
  parseWrite,
  type Write,
} from "./write.ts";
import { InvalidWriteError, UnknownSchemaError } from "./write-errors.ts";
import { deriveExpireId, getWriteTime, mintWriteId } from "./write-id.ts";

const collections = [teachers, courses];

test("every valid write reads back from its message as it was", () => {
  fc.assert(
    fc.property(writes(), (write) => {
      const expected = write.item ? { ...write, item: throughJson(write.item) } : write;
      assert.deepEqual(withoutAbsent(parseWrite(encodeWrite(write), collections)), expected);
    }),
    { numRuns: 2_000 },
  );
});

test("a message is a CloudEvent whose attributes Pub/Sub can carry", () => {
  const id = mintWriteId();
  const { attributes, data } = encodeWrite({
    ...valid(),
    id,
    acceptedAt: getWriteTime(id),
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  });
  assert.deepEqual(attributes, {
    "ce-specversion": "1.0",
    "ce-id": id,
    "ce-type": "dev.constancia.put",
    "ce-source": "/api/teachers",
    "ce-subject": "gabriela",
    "ce-time": new Date(getWriteTime(id)).toISOString(),
    "content-type": "application/json",
    schema: "1",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  });
  assert.deepEqual(JSON.parse(data.toString()), { name: "Gabriela" });
});

test("a message has no attribute but those that are listed, and only those that its write needs", () => {
  const few = encodeWrite({ ...valid(), kind: "delete", item: undefined });
  assert.deepEqual(Object.keys(few.attributes), [...ATTRIBUTES].slice(0, 8));
  assert.equal(few.data.length, 0);
  const more = { ifMatch: "*", ifNoneMatch: true, fingerprint: "f", traceparent: "t" };
  const all = { ...valid(), ...more, subject: "key:ana", anyOwner: true, firstPublishedAt: 0 };
  const { attributes } = encodeWrite(all);
  assert.deepEqual(Object.keys(attributes).toSorted(), [...ATTRIBUTES].toSorted());
});

test("the acceptance time is the one inside the id, whatever ce-time says", () => {
  const message = encode({}, { "ce-time": "2001-01-01T00:00:00.000Z" });
  const write = parseWrite(message, collections);
  assert.equal(write.acceptedAt, getWriteTime(write.id));
});

test("attributes of CloudEvents' extensions, of Pub/Sub and of its clients are passed over", () => {
  const attributes = {
    "ce-future": "1",
    googclient_schemaencoding: "JSON",
    CloudPubSubDeadLetterSourceDeliveryCount: "5",
  };
  assert.equal(parseWrite(encode({}, attributes), collections).itemId, "gabriela");
});

test("a message carries the number of its collection's declaration; older ones are read", () => {
  const newer = { ...teachers, schemaNumber: 3 };
  const { attributes } = encodeWrite({ ...valid(), collection: newer });
  assert.equal(attributes.schema, "3");
  for (const schema of [undefined, "0", "1", "2", "3"])
    assert.equal(parseWrite(encode({}, { schema }), [newer]).collection, newer);
});

const unknown: [string, Record<string, string>, RegExp][] = [
  ["a later schema", { schema: "2" }, /^The schema 2 of teachers .*, which knows 1\.$/],
  ["a later kind", { "ce-type": "dev.constancia.patch" }, /"dev\.constancia\.patch" is not known/],
  ["the bare prefix", { "ce-type": "dev.constancia." }, /type "dev\.constancia\." is not known/],
  ["a longer collection", { "ce-source": "/api/teachersX" }, /teachersX" is not declared/],
  ["a later collection", { "ce-source": "/api/rooms" }, /"\/api\/rooms" is not declared/],
  [
    "an attribute that is not known",
    { "if-unmodified-since": "0" },
    /"if-unmodified-since" is not/,
  ],
  ["a prefix within an attribute", { "my-ce-id": "0" }, /attribute "my-ce-id" is not known/],
];
for (const [what, attributes, reason] of unknown)
  test(`a message with ${what} may be known to a newer version`, () => {
    // Whatever else is wrong with it: a newer version may have other rules.
    for (const more of [{}, { "ce-id": "1" }])
      assert.throws(
        () =>
          parseWrite(
            { ...encode({}, { ...attributes, ...more }), data: Buffer.from("{") },
            collections,
          ),
        (error) => error instanceof UnknownSchemaError && reason.test(error.message),
      );
  });

test("a delete needs no data and reads none", () => {
  const message = encode({ kind: "delete" });
  assert.equal(parseWrite(message, collections).item, undefined);
  message.data = Buffer.from("{not JSON");
  assert.equal(parseWrite(message, collections).item, undefined);
});

const faults: [string, Partial<Record<string, string | undefined>>, RegExp][] = [
  ["no CloudEvent", { "ce-specversion": undefined }, /not a CloudEvent.*ce-specversion is missing/],
  ["a later CloudEvents", { "ce-specversion": "2.0" }, /version 1\.0: ce-specversion is "2\.0"/],
  ["a foreign type", { "ce-type": "com.example.put" }, /type "com\.example\.put" is not known/],
  ["no type", { "ce-type": undefined }, /type "" is not known/],
  ["a schema that is no number", { schema: "one" }, /schema "one" is not a whole number/],
  ["a negative schema", { schema: "-1" }, /schema "-1" is not a whole number/],
  ["a schema of ten digits", { schema: "1234567890" }, /schema "1234567890" is not a whole number/],
  ["no collection", { "ce-source": undefined }, /collection of missing is not declared/],
  ["a UUIDv4 as write id", { "ce-id": "0b6a3c2e-6e3f-4c2b-9d55-0f4b1a2c3d4e" }, /is not a UUIDv7/],
  [
    "a write id of the year 10000",
    { "ce-id": "e677d21f-dc00-7000-8000-000000000000" },
    /write id e677d21f-dc00-\S+ has a time after the year 9999/,
  ],
  ["no write id", { "ce-id": undefined }, /write id "" is not a UUIDv7/],
  ["an item id with a space", { "ce-subject": "a b" }, /item id "a b" does not match/],
  ["an item id of 65 characters", { "ce-subject": "a".repeat(65) }, /item id "a+" does not match/],
  ["an item id that ends in a new line", { "ce-subject": "a\n" }, /item id "a\\n" does not match/],
  ["no item id", { "ce-subject": undefined }, /item id "" does not match/],
  ["an if-match that is no version", { "if-match": "W/1" }, /if-match "W\/1" is not a version/],
  ["an empty if-match", { "if-match": "" }, /if-match "" is not a version/],
  ["a short fingerprint", { fingerprint: "abc" }, /fingerprint is not a SHA-256/],
  ["a long fingerprint", { fingerprint: "a".repeat(65) }, /fingerprint is not a SHA-256/],
  ["an upper-case fingerprint", { fingerprint: "A".repeat(64) }, /fingerprint is not a SHA-256/],
];
for (const [what, attributes, reason] of faults)
  test(`a message with ${what} is refused with the reason`, () => {
    assert.throws(
      () => parseWrite(encode({}, attributes), collections),
      (error) =>
        error instanceof InvalidWriteError &&
        !(error instanceof UnknownSchemaError) &&
        reason.test(error.message),
    );
  });

const bodies: [string, Buffer | string, RegExp][] = [
  ["no JSON", "{", /^The data is not JSON in UTF-8\.$/],
  ["nothing", "", /^The data is not JSON in UTF-8\.$/],
  ["broken UTF-8", Buffer.from([0x22, 0xff, 0x22]), /^The data is not JSON in UTF-8\.$/],
  ["an array", "[]", /^The item is not valid: the body must be a JSON object\.$/],
  ["null", "null", /must be a JSON object/],
  ["a missing field", "{}", /^The item is not valid: name is required\.$/],
  ["an unknown field", '{"name":"G","age":4}', /: age is not a field of this collection/],
  ["a wrong type", '{"name":4}', /: name must be of type string, not number\.$/],
  ["a text that is too long", JSON.stringify({ name: "n".repeat(201) }), /at most 200 characters/],
  ["a NUL", '{"name":"a\\u0000"}', /: name must be well-formed Unicode/],
  ["half a surrogate pair", '{"name":"\\ud800"}', /: name must be well-formed Unicode/],
];
for (const [what, data, reason] of bodies)
  test(`a message whose data is ${what} is refused with the reason`, () => {
    assert.throws(
      () => parseWrite({ ...encode({}), data: Buffer.from(data) }, collections),
      (error) => error instanceof InvalidWriteError && reason.test(error.message),
    );
  });

test("a reason quotes a hundred characters of the value, and only well-formed ones", () => {
  const subject = `\ud800${"é".repeat(500)}`;
  assert.throws(
    () => parseWrite(encode({}, { "ce-subject": subject }), collections),
    ({ message }: Error) => message.isWellFormed() && message.length < 200,
  );
});

test("where items have owners, a message says who has written, and the item is the writer's", () => {
  const id = "01968b3e-7c00-7000-8000-0123456789ab";
  const common = { id, collection: notes, itemId: "n", acceptedAt: getWriteTime(id) };
  const read = (more: Partial<Write>) => {
    const write: Write = { kind: "put", ...common, item: { text: "x", user: "key:ana" }, ...more };
    return withoutAbsent(parseWrite(encodeWrite(write), [notes]));
  };
  const own = read({ subject: "key:ana" });
  assert.deepEqual([own.subject, own.anyOwner], ["key:ana", undefined]);
  const any = read({ subject: "key:admin", anyOwner: true });
  assert.deepEqual([any.subject, any.anyOwner], ["key:admin", true]);
  assert.equal(read({ kind: "delete", item: undefined, subject: "key:ana" }).subject, "key:ana");
  const wrong: [Partial<Write>, RegExp][] = [
    [{}, /^The subject is missing, but the items of notes have owners\.$/],
    [{ kind: "delete", item: undefined }, /^The subject is missing/],
    [{ subject: "a b" }, /^The subject is "a b"/],
    [{ subject: "x".repeat(256) }, /^The subject is "x+/],
    [{ subject: "key:bruno" }, /^The item's user is not the subject "key:bruno"\.$/],
    [{ subject: "key:ana", item: { text: "x" } }, /^The item's user is not the subject/],
    [{ subject: "key:ana", anyOwner: true, item: { text: "x" } }, /^The item's user is not/],
  ];
  for (const [more, reason] of wrong)
    assert.throws(() => read(more), { name: "InvalidWriteError", message: reason });
});

test("where items have no owners, who has written means nothing", () => {
  const id = "01968b3e-7c00-7000-8000-0123456789ab";
  const write = { id, kind: "delete" as const, collection: courses, itemId: "c", acceptedAt: 0 };
  const { attributes, data } = encodeWrite({ ...write, subject: "key:ana", anyOwner: true });
  assert.equal(attributes.subject, "key:ana");
  const read = parseWrite({ attributes, data }, [courses]);
  assert.deepEqual([read.subject, read.anyOwner], [undefined, undefined]);
});

test("where items expire, a replay has the time at which the dead write was published", () => {
  const id = "01968b3e-7c00-7000-8000-0123456789ab";
  const common = { id, kind: "put" as const, itemId: "a", acceptedAt: getWriteTime(id) };
  const seat: Write = { ...common, collection: seats, item: { passenger: "Gabriela" } };
  const read = (attributes: Record<string, string>, write = seat) => {
    const message = encodeWrite(write);
    return parseWrite({ ...message, attributes: { ...message.attributes, ...attributes } }, [
      teachers,
      seats,
    ]).firstPublishedAt;
  };
  assert.equal(read({}, { ...seat, firstPublishedAt: 1_234 }), 1_234);
  assert.equal(read({}), undefined);
  for (const wrong of ["soon", "", "-000001-01-01T00:00:00Z", "+010000-01-01T00:00:00Z"])
    assert.throws(() => read({ "first-published": wrong }), /first-published is not a time/);
  const elsewhere: Write = { ...common, collection: teachers, item: { name: "Gabriela" } };
  assert.equal(read({ "first-published": "1970-01-01T00:00:00Z" }, elsewhere), undefined);
});

test("an expire names the version that it ends, and is accepted when it is published", () => {
  const version = "01968b3e-7c00-7000-8000-0123456789ab";
  const id = deriveExpireId(version, 100_000);
  const common = { id, itemId: "b", collection: berths, acceptedAt: getWriteTime(id) };
  const read = (more: Partial<Write>, publishedAt?: number) => {
    const message = encodeWrite({ kind: "expire", ...common, ifMatch: version, ...more });
    return parseWrite({ ...message, publishedAt }, [berths]);
  };
  const { kind, acceptedAt, ifMatch, subject, item } = read({}, 170_000);
  assert.deepEqual([kind, acceptedAt, ifMatch], ["expire", 170_000, version]);
  assert.deepEqual([subject, item], [undefined, undefined], "it is nobody's, and has no item");
  assert.equal(read({}).acceptedAt, getWriteTime(id));
  const release = { kind: "delete", subject: "key:ana" } as const;
  assert.equal(read(release, 170_000).acceptedAt, getWriteTime(id), "only an expire");
  for (const wrong of [undefined, "*"])
    assert.throws(() => read({ ifMatch: wrong }), {
      name: "InvalidWriteError",
      message: "The if-match of an expire is not a version.",
    });
});

test("a write is conditional by a version, by any, or by there being no item", () => {
  const named = mintWriteId();
  for (const [more, conditional, names] of [
    [{}, false, []],
    [{ ifMatch: "*" }, true, []],
    [{ ifMatch: named }, true, [named]],
    [{ ifNoneMatch: true }, true, []],
  ] as const) {
    const write = { ...valid(), ...more };
    assert.equal(isConditional(write), conditional);
    assert.deepEqual(listWriteIds(write), [write.id, ...names]);
  }
});

test("a write is checked before it is published as after it was delivered", () => {
  checkWrite(valid());
  for (const wrong of [
    { id: "1" },
    { itemId: "" },
    { itemId: ".." },
    { ifMatch: "1" },
    { fingerprint: "1" },
  ])
    assert.throws(() => checkWrite({ ...valid(), ...wrong }), InvalidWriteError);
  assert.throws(() => checkWrite({ ...valid(), item: undefined }), /must be a JSON object/);
});

test("the check leaves the item as it will be stored", () => {
  const write = { ...valid(), collection: courses };
  write.item = { ...courses.example, startsAt: "2026-03-01T10:30:00+01:00" };
  checkWrite(write);
  assert.deepEqual(write.item, courses.example);
});

test("a fingerprint depends on what an item says and not on the order of its keys", () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  const items = fc.dictionary(fc.string(), json, { maxKeys: 6 });
  fc.assert(
    fc.property(items, fc.infiniteStream(fc.nat()), (item, order) => {
      const shuffled = shuffleKeys(item, order) as Item;
      assert.equal(computeFingerprint(shuffled), computeFingerprint(item));
      assert.match(computeFingerprint(item), /^[0-9a-f]{64}$/);
      const other = { ...item, oneMore: 1 };
      if (!("oneMore" in item))
        assert.notEqual(computeFingerprint(other), computeFingerprint(item));
    }),
    { numRuns: 500 },
  );
  assert.notEqual(
    computeFingerprint({ tags: ["a", "b"] }),
    computeFingerprint({ tags: ["b", "a"] }),
  );
});

function valid(): Write {
  const id = mintWriteId();
  return {
    id,
    kind: "put",
    collection: teachers,
    itemId: "gabriela",
    acceptedAt: getWriteTime(id),
    item: { name: "Gabriela" },
  };
}

/** The message of a valid write with some attributes changed, or taken away where undefined. */
function encode(
  change: Partial<Write>,
  attributes: Partial<Record<string, string | undefined>> = {},
): MessageContent {
  const message = encodeWrite({ ...valid(), ...change });
  for (const [name, value] of Object.entries(attributes))
    if (value === undefined) delete message.attributes[name];
    else message.attributes[name] = value;
  return message;
}

/** Valid writes of every kind, with whatever they may carry; absent fields stay absent. */
function writes(): fc.Arbitrary<Write> {
  const characters = fc.string({ unit: "binary", minLength: 1, maxLength: 50 });
  const sound = characters.filter((value) => value.isWellFormed() && !value.includes("\0"));
  const item = fc.record(
    {
      title: sound,
      teacherId: sound,
      credits: fc.integer({ min: 0, max: 1_000_000_000_000 }),
      price: fc.double({ noNaN: true, noDefaultInfinity: true }),
      active: fc.boolean(),
      startsAt: fc
        .date({ min: new Date("1000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
        .map((date) => date.toISOString()),
      tags: fc.array(sound, { maxLength: 5 }),
      note: sound,
    },
    { requiredKeys: ["title", "teacherId", "credits", "price", "active", "startsAt", "tags"] },
  );
  const version = fc.uuid({ version: 7 }).filter((id) => getWriteTime(id) < Date.UTC(10_000, 0, 1));
  const optional = fc.record(
    {
      ifMatch: fc.oneof(version, fc.constant("*")),
      ifNoneMatch: fc.constant(true),
      fingerprint: fc.stringMatching(/^[0-9a-f]{64}$/),
      traceparent: fc.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/),
    },
    { requiredKeys: [] },
  );
  const itemId = fc.stringMatching(/^[A-Za-z0-9._~-]{1,64}$/).filter((id) => !/^\.{1,2}$/.test(id));
  const kind = fc.constantFrom("create", "put", "delete");
  return fc.tuple(version, kind, itemId, item, optional).map(([id, kind, itemId, item, more]) => ({
    id,
    kind,
    collection: courses,
    itemId,
    acceptedAt: getWriteTime(id),
    ...(kind === "delete" ? {} : { item }),
    ...more,
  }));
}

function withoutAbsent(write: Write): Partial<Write> {
  return Object.fromEntries(Object.entries(write).filter(([, value]) => value !== undefined));
}

/** Minus zero is the one number that JSON does not keep. */
function throughJson(item: Item): Item {
  return JSON.parse(JSON.stringify(item));
}

function shuffleKeys(value: unknown, order: fc.Stream<number>): unknown {
  if (Array.isArray(value)) return value.map((part) => shuffleKeys(part, order));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, part]) => ({ key, part, rank: order.next().value as number }))
    .sort((a, b) => a.rank - b.rank);
  return Object.fromEntries(entries.map(({ key, part }) => [key, shuffleKeys(part, order)]));
}
