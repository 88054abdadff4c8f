import fc from "fast-check";
import { v7 } from "uuid";
import type { Collection } from "../../common/collection.ts";
import { ATTRIBUTES, encodeWrite, type MessageContent } from "../../common/write.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { ODD_TEXTS } from "./values.ts";

/** Pub/Sub's own limits: messages beyond them cannot be published. */
const LIMIT = { attributes: 100, keyBytes: 256, valueBytes: 1_024 };
/** Sometimes more than an item may have. */
const LARGE_BYTES = 300_000;
/** How to make a message; its write id, where it has a valid one, is minted when it is made. */
type Recipe = {
  collection: Collection;
  kind: "create" | "put" | "delete";
  itemId: string;
  attributes: Record<string, string | undefined>;
  /** It has these attributes only. */
  isBare: boolean;
  data: (sound: Buffer) => Buffer;
};

export function makeMessage(recipe: Recipe): MessageContent {
  const { collection, kind, itemId, isBare } = recipe;
  const id = v7();
  const { owner } = collection;
  const subject = owner === undefined ? undefined : "key:fuzz";
  const example = owner === undefined ? {} : { [owner]: subject };
  const item = kind === "delete" ? undefined : { ...collection.example, ...example };
  const acceptedAt = getWriteTime(id);
  const sound = encodeWrite({ id, kind, collection, itemId, acceptedAt, item, subject });
  const all = isBare ? recipe.attributes : { ...sound.attributes, ...recipe.attributes };
  const kept = Object.entries(all).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const attributes = Object.fromEntries(kept.slice(-LIMIT.attributes));
  const data = recipe.data(sound.data);
  // Pub/Sub refuses a message without attributes and data.
  return { attributes, data: data.length + kept.length === 0 ? Buffer.from("\0") : data };
}

/** Messages as any publisher could send them: near to writes, or nothing like one. */
export function recipes(collections: readonly Collection[]): fc.Arbitrary<Recipe> {
  const base = {
    collection: fc.constantFrom(...collections),
    kind: fc.constantFrom("create" as const, "put" as const, "delete" as const),
    // Few, so that they collide.
    itemId: fc.nat({ max: 20 }).map((number) => `hostile-${number}`),
  };
  const isBare = fc.constant(false);
  const attributes = fc.constant({});
  const keep = fc.constant((sound: Buffer) => sound);
  const all = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ ...base, isBare, attributes: changedAttributes(), data: keep }),
    },
    { weight: 3, arbitrary: fc.record({ ...base, isBare, attributes, data: strangeItems() }) },
    { weight: 2, arbitrary: fc.record({ ...base, isBare, attributes, data: changedBytes() }) },
    {
      weight: 1,
      arbitrary: fc.record({ ...base, isBare, attributes: changedAttributes(), data: bytes() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        ...base,
        data: bytes(),
        isBare: fc.constant(true),
        attributes: fc.dictionary(keys(), values(), { maxKeys: LIMIT.attributes }),
      }),
    },
  );
  // A failure prints a line instead of the schema of the collection.
  return all.map((recipe) => ({
    ...recipe,
    [fc.toStringMethod]: () =>
      `${recipe.kind} of ${recipe.collection.name} ${JSON.stringify(recipe.attributes)}`,
  }));
}

/** The names of attributes that a message may have. */
const NAMES = [...ATTRIBUTES];
/** Texts that have broken other programs. */
const STRANGE = [
  ...ODD_TEXTS.filter((text) => text !== "" && text.isWellFormed()),
  "-1",
  "1.0",
  "*",
  "dev.constancia.put",
  "/api/data",
  "/api/writes",
  "00-0-0-0",
];

/** One to four attributes of a write, changed or removed, and perhaps some more. */
function changedAttributes(): fc.Arbitrary<Record<string, string | undefined>> {
  const value = fc.oneof(values(), fc.constant(undefined), ids(), fc.constantFrom(...STRANGE));
  const named = fc.dictionary(fc.constantFrom(...NAMES), value, { minKeys: 1, maxKeys: 4 });
  // Mostly such as Pub/Sub may add: one of its own that is not known makes it a newer version's.
  const more = keys()
    .map((key) => `ce-${key}`)
    .filter((key) => fits(key, LIMIT.keyBytes));
  const key = fc.oneof({ weight: 9, arbitrary: more }, { weight: 1, arbitrary: keys() });
  const others = fc.dictionary(key, values(), { maxKeys: 3 });
  return fc.tuple(named, others).map(([one, other]) => ({ ...other, ...one }));
}

/** Versions of any time, and texts that only look like one. */
function ids(): fc.Arbitrary<string> {
  const ends = fc.constantFrom(
    "00000000-0000-7000-8000-00000000",
    "ffffffff-ffff-7fff-bfff-ffffffff",
  );
  // Each once: two messages with one id share their receipt.
  const lastDigits = fc.nat({ max: 0xffff }).map((number) => number.toString(16).padStart(4, "0"));
  const extremes = fc.tuple(ends, lastDigits).map((parts) => parts.join(""));
  return fc.oneof(fc.uuid({ version: 7 }), fc.uuid(), extremes);
}

function keys(): fc.Arbitrary<string> {
  const text = fc.oneof(wellFormedText(80), fc.constantFrom(...NAMES, ...STRANGE));
  return text.filter((key) => key !== "" && !key.startsWith("goog") && fits(key, LIMIT.keyBytes));
}

function values(): fc.Arbitrary<string> {
  return wellFormedText(1_000).filter((value) => fits(value, LIMIT.valueBytes));
}

/** gRPC carries well-formed text only. */
function wellFormedText(maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: "binary", maxLength }).filter((text) => text.isWellFormed());
}

function fits(text: string, bytes: number): boolean {
  return Buffer.byteLength(text) <= bytes;
}

/** JSON, mostly with the right fields, and with any values. */
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

/** A write's data with some bytes changed, cut off, or doubled. */
function changedBytes(): fc.Arbitrary<(sound: Buffer) => Buffer> {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 });
  const flipped = flips.map((changes) => (sound: Buffer) => {
    const changed = Buffer.from(sound);
    for (const [place, byte] of changes)
      if (changed.length > 0) changed[place % changed.length] = byte;
    return changed;
  });
  const cut = fc.nat({ max: 100 }).map((length) => (sound: Buffer) => sound.subarray(0, length));
  const twice = fc.constant((sound: Buffer) => Buffer.concat([sound, sound]));
  return fc.oneof(flipped, cut, twice);
}

function bytes(): fc.Arbitrary<() => Buffer> {
  return fc.uint8Array({ maxLength: 2_000 }).map((all) => () => Buffer.from(all));
}
