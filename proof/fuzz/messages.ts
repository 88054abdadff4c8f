import fc from "fast-check";
import { v7 } from "uuid";
import type { Collection } from "../../common/collection.ts";
import { encodeWrite, type MessageContent } from "../../common/write.ts";
import { getWriteTime } from "../../common/write-id.ts";

/** Pub/Sub's own limits: what is beyond them never gets onto the topic. */
const LIMIT = { attributes: 100, keyBytes: 256, valueBytes: 1_024 };
/** More than an item may have, now and then. */
const LARGE_BYTES = 300_000;
/** Old enough that nobody waits for a version that it names (CONDITION_WAIT_MS). */
const AGE_MS = 2 * 60_000;

/** How to make a message; its write id, where it has a sound one, is minted when it is made. */
export type Recipe = {
  collection: Collection;
  kind: "create" | "put" | "delete";
  itemId: string;
  attributes: Record<string, string | undefined>;
  /** Nothing of a write is left but these. */
  isBare: boolean;
  data: (sound: Buffer) => Buffer;
};

export function makeMessage(recipe: Recipe): MessageContent {
  const { collection, kind, itemId, isBare } = recipe;
  const id = v7({ msecs: Date.now() - AGE_MS });
  const item = kind === "delete" ? undefined : collection.example;
  const acceptedAt = getWriteTime(id);
  const sound = encodeWrite({ id, kind, collection, itemId, acceptedAt, item });
  const all = isBare ? recipe.attributes : { ...sound.attributes, ...recipe.attributes };
  const kept = Object.entries(all).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const attributes = Object.fromEntries(kept.slice(-LIMIT.attributes));
  const data = recipe.data(sound.data);
  // Pub/Sub takes no message that has neither.
  return { attributes, data: data.length + kept.length === 0 ? Buffer.from("\0") : data };
}

/** Messages as whoever may publish could send them: nearly writes, barely writes, and no writes. */
export function recipes(collections: readonly Collection[]): fc.Arbitrary<Recipe> {
  const base = {
    collection: fc.constantFrom(...collections),
    kind: fc.constantFrom("create" as const, "put" as const, "delete" as const),
    // Few, so that they meet.
    itemId: fc.nat({ max: 20 }).map((number) => `hostile-${number}`),
  };
  const isBare = fc.constant(false);
  const attributes = fc.constant({});
  const keep = fc.constant((sound: Buffer) => sound);
  const all = fc.oneof(
    { weight: 3, arbitrary: fc.record({ ...base, isBare, attributes: spoilt(), data: keep }) },
    { weight: 3, arbitrary: fc.record({ ...base, isBare, attributes, data: strangeItems() }) },
    { weight: 2, arbitrary: fc.record({ ...base, isBare, attributes, data: bentBytes() }) },
    { weight: 1, arbitrary: fc.record({ ...base, isBare, attributes: spoilt(), data: bytes() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        ...{ ...base, data: bytes(), isBare: fc.constant(true) },
        attributes: fc.dictionary(keys(), values(), { maxKeys: LIMIT.attributes }),
      }),
    },
  );
  // A failure is to be told in lines, and not with the schemas of collections.
  return all.map((recipe) => ({
    ...recipe,
    [fc.toStringMethod]: () =>
      `${recipe.kind} of ${recipe.collection.name} ${JSON.stringify(recipe.attributes)}`,
  }));
}

const NAMES = [
  ...["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-subject", "ce-time", "content-type"],
  ...["if-match", "if-none-match", "fingerprint", "traceparent"],
];
/** What has broken other programs. */
const STRANGE = [
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "null", "undefined", "NaN", "-1"],
  ...[
    "'; DROP TABLE data; --",
    "\\",
    "\0",
    "../../etc/passwd",
    "%00",
    "\u0024{1}",
    "{{1}}",
    "\u202e",
  ],
  ...["1.0", "*", "dev.constancia.put", "/api/data", "/api/writes", "00-0-0-0", "\ud83d\ude00"],
];

/** One to four attributes of a write, changed or gone, and perhaps some of no meaning. */
function spoilt(): fc.Arbitrary<Record<string, string | undefined>> {
  const value = fc.oneof(values(), fc.constant(undefined), ids(), fc.constantFrom(...STRANGE));
  const named = fc.dictionary(fc.constantFrom(...NAMES), value, { minKeys: 1, maxKeys: 4 });
  const others = fc.dictionary(keys(), values(), { maxKeys: 3 });
  return fc.tuple(named, others).map(([one, other]) => ({ ...other, ...one }));
}

/** Versions of any time that an id can hold; and what only looks like one. */
function ids(): fc.Arbitrary<string> {
  const ends = fc.constantFrom(
    "00000000-0000-7000-8000-000000000000",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
  );
  return fc.oneof(fc.uuid({ version: 7 }), fc.uuid(), ends);
}

function keys(): fc.Arbitrary<string> {
  const text = fc.oneof(soundText(80), fc.constantFrom(...NAMES, ...STRANGE));
  return text.filter((key) => key !== "" && !key.startsWith("goog") && fits(key, LIMIT.keyBytes));
}

function values(): fc.Arbitrary<string> {
  return soundText(1_000).filter((value) => fits(value, LIMIT.valueBytes));
}

/** gRPC carries no other. */
function soundText(maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: "binary", maxLength }).filter((text) => text.isWellFormed());
}

function fits(text: string, bytes: number): boolean {
  return Buffer.byteLength(text) <= bytes;
}

/** JSON, mostly of the right fields, and of any values. */
function strangeItems(): fc.Arbitrary<(sound: Buffer) => Buffer> {
  const value = fc.oneof(
    fc.jsonValue({ noUnicodeString: false }),
    fc.constantFrom<unknown>(...STRANGE, 1e308, -0, 2 ** 53, 5e-324, "9999-12-31T23:59:59.999Z"),
    fc.nat({ max: LARGE_BYTES }).map((length) => "x".repeat(length)),
  );
  const changed = fc.tuple(fc.nat(), value).map(([place, other]) => (sound: Buffer) => {
    const item = JSON.parse(sound.toString() || "{}") as Record<string, unknown>;
    const names = Object.keys(item);
    const name = names[place % (names.length + 1)] ?? "more";
    return Buffer.from(JSON.stringify({ ...item, [name]: other }));
  });
  const any = value.map((other) => () => Buffer.from(JSON.stringify(other)));
  const deep = fc.nat({ max: 20_000 }).map((depth) => () => {
    return Buffer.from(`{"nombre":${"[".repeat(depth)}${"]".repeat(depth)}}`);
  });
  return fc.oneof(
    { weight: 5, arbitrary: changed },
    { weight: 2, arbitrary: any },
    { weight: 1, arbitrary: deep },
  );
}

/** A write's data with some bytes changed, or cut off, or twice. */
function bentBytes(): fc.Arbitrary<(sound: Buffer) => Buffer> {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 });
  const flipped = flips.map((changes) => (sound: Buffer) => {
    const bent = Buffer.from(sound);
    for (const [place, byte] of changes) if (bent.length > 0) bent[place % bent.length] = byte;
    return bent;
  });
  const cut = fc.nat({ max: 100 }).map((length) => (sound: Buffer) => sound.subarray(0, length));
  const twice = fc.constant((sound: Buffer) => Buffer.concat([sound, sound]));
  return fc.oneof(flipped, cut, twice);
}

function bytes(): fc.Arbitrary<() => Buffer> {
  return fc.uint8Array({ maxLength: 2_000 }).map((all) => () => Buffer.from(all));
}
