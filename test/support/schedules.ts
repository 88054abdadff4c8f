import fc from "fast-check";
import type { Collection } from "../../common/collection.ts";
import type { Item } from "../../common/item-check.ts";
import type { Write, WriteKind } from "../../common/write.ts";

/**
 * A random history of few items: which writes were accepted, and how they are delivered. Plain data,
 * so that fast-check can print it; {@link makeWrites} makes the writes.
 */
export type Schedule<Delivery> = { writes: PlannedWrite[]; deliveries: Delivery[] };

/** A write of a schedule. Writes are named by their place, and places are in the order of the ids. */
export type PlannedWrite = {
  kind: WriteKind;
  item: number;
  /** Milliseconds since the write before it was accepted. */
  afterMs: number;
  /**
   * `exists` is `If-Match: *`, `absent` is `If-None-Match: *`; a number is `If-Match` with the
   * version that the write in that place makes; `never` names a version that no write makes.
   */
  condition?: "exists" | "absent" | "never" | number;
  /** Of a keyed create: which of two bodies it has. */
  key?: "a" | "b";
  /** The database refuses its values, though the schema allows them. */
  poison?: true;
  /** Which of few subjects has written, where items have owners; `any` may write any item. */
  subject?: Subject;
};

type Subject = "ana" | "bruno" | "any";

/** A batch that one subscriber receives: places of writes, each once or more often. */
export type Batch = number[];

/** Writes of a schedule at most; {@link makeWrites} numbers each run's ids with room for them. */
const MAX_WRITES = 12;
const ITEMS = 3;

/** Writes of every kind and condition. A condition names a version that is older than its write. */
export function anyWrites({ poison = false, isOwned = false } = {}): fc.Arbitrary<PlannedWrite[]> {
  const write = fc.record({
    kind: fc.constantFrom<WriteKind>("create", "put", "put", "put", "delete"),
    item: fc.nat(ITEMS - 1),
    afterMs: fc.constantFrom(0, 0, 1, 7, 900, 20_000),
    condition: fc.constantFrom("none", "none", "none", "exists", "absent", "same", "any", "never"),
    named: fc.nat(MAX_WRITES),
    key: fc.constantFrom(undefined, "a" as const, "a" as const, "b" as const),
    subject: isOwned
      ? fc.constantFrom<Subject>("ana", "ana", "ana", "bruno", "bruno", "any")
      : fc.constant(undefined),
    poison: poison ? fc.nat(9).map((chance) => chance === 0) : fc.constant(false),
  });
  return fc.array(write, { minLength: 1, maxLength: MAX_WRITES, size: "max" }).map((all) =>
    all.map(({ kind, item, afterMs, condition, named, key, poison, subject }, place) => {
      const planned: PlannedWrite = { kind, item, afterMs, ...(subject && { subject }) };
      if (poison && kind !== "delete") planned.poison = true;
      if (kind === "create" && key) planned.key = key;
      if (kind === "create" || condition === "none") return planned;
      const earlier = all.slice(0, place).flatMap((other, at) => {
        return condition === "any" || other.item === item ? [at] : [];
      });
      const version = earlier[named % Math.max(1, earlier.length)] ?? "never";
      const isVersion = condition === "same" || condition === "any";
      return { ...planned, condition: isVersion ? version : condition };
    }),
  );
}

/** Puts and deletes without a condition; an item's first write may be a create, keyed or not. */
export function unconditionalWrites(options?: { poison: boolean }): fc.Arbitrary<PlannedWrite[]> {
  return anyWrites(options).map((all) =>
    all.map(({ condition: _, key, ...planned }, place) => {
      const isFirst = all.findIndex(({ item }) => item === planned.item) === place;
      if (planned.kind !== "create") return planned;
      if (!isFirst) return { ...planned, kind: "put" };
      return key ? { ...planned, key } : planned;
    }),
  );
}

/** A batch of a schedule's writes. */
export function anyBatch(writes: readonly PlannedWrite[]): fc.Arbitrary<Batch> {
  return fc.array(fc.nat(writes.length - 1), { maxLength: MAX_WRITES, size: "max" });
}

/** Each write of a schedule once, in a random order. */
export function anyOrder(writes: readonly PlannedWrite[]): fc.Arbitrary<number[]> {
  const places = writes.map((_, place) => place);
  return fc.shuffledSubarray(places, { minLength: places.length });
}

/**
 * Makes the planned writes. Items and ids belong to one run, so that many runs share a table;
 * `startMs` is the time at which the first write is accepted.
 */
export function makeWrites(
  planned: readonly PlannedWrite[],
  options: { collection: Collection; run: number; startMs: number },
): Write[] {
  const { collection, run } = options;
  let acceptedAt = options.startMs;
  const writes: Write[] = [];
  planned.forEach(({ kind, item, afterMs, condition, key, poison, subject = "ana" }, place) => {
    acceptedAt += afterMs;
    const serial = 2 * (run * MAX_WRITES + place) + 1;
    const write: Write = {
      id: versionAt(acceptedAt, serial),
      kind,
      collection,
      itemId: `run-${run}-item-${item}`,
      acceptedAt,
    };
    if (kind !== "delete") write.item = makeItem(collection, place, poison);
    if (collection.owner !== undefined) {
      write.subject = `key:${subject}`;
      if (subject === "any") write.anyOwner = true;
      if (write.item) write.item[collection.owner] = `key:${subject === "any" ? "ana" : subject}`;
    }
    if (key) write.fingerprint = key.repeat(64);
    if (condition === "exists") write.ifMatch = "*";
    if (condition === "absent") write.ifNoneMatch = true;
    if (condition === "never") write.ifMatch = versionAt(acceptedAt, serial - 1);
    if (typeof condition === "number") write.ifMatch = (writes[condition] as Write).id;
    writes.push(write);
  });
  return writes;
}

/** A UUIDv7 of this millisecond; of two, that with the greater serial is the greater one. */
export function versionAt(ms: number, serial = 0): string {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${serial.toString(16).padStart(12, "0")}`;
}

/** With `poison`, an item that a constraint in `test/migrations` refuses. */
function makeItem(collection: Collection, place: number, poison?: true): Item {
  if (collection.name === "teachers") return { name: `from write ${place}` };
  if (collection.name === "notes") return { text: `from write ${place}` };
  if (collection.name === "visits") return { name: poison ? "Nobody" : `from write ${place}` };
  const { example } = collection;
  return poison ? { ...example, title: "Algebra", price: 0 } : { ...example, price: place + 1 };
}
