import type { Collection } from "./collection.ts";
import { checkItem, formatErrors, type Item } from "./item-check.ts";
import { ITEM_ID } from "./item-id.ts";
import { parseJson } from "./json.ts";
import { PRINCIPAL } from "./owner-field.ts";
import { InvalidWriteError, quote, UnknownSchemaError } from "./write-errors.ts";
import { getWriteTime, isWriteId } from "./write-id.ts";

/** One accepted request to create, put or delete one item. */
export type Write = {
  /** UUIDv7; the CloudEvent's id, and the item's version once applied. */
  id: string;
  kind: WriteKind;
  collection: Collection;
  itemId: string;
  /**
   * Acceptance time in milliseconds since 1970: the time inside the id; of an `expire`, whose id is
   * derived from an older one, when it was published.
   */
  acceptedAt: number;
  /** When Pub/Sub took the message, by its own clock; every redelivery has the same. */
  publishedAt?: number | undefined;
  /** Of a replay, where items expire: when the dead write was published, in whose place it stands. */
  firstPublishedAt?: number | undefined;
  /** Absent on a delete and an expire. */
  item?: Item | undefined;
  /** The version that the item must have (put, delete), or `*` for any; the one that an expire ends. */
  ifMatch?: string | undefined;
  /** `If-None-Match: *`: the item must not exist (put). */
  ifNoneMatch?: boolean | undefined;
  /** SHA-256 of the body as it was sent, hexadecimal (keyed creates); see `computeFingerprint`. */
  fingerprint?: string | undefined;
  /** W3C Trace Context, level 1. */
  traceparent?: string | undefined;
  /** The principal that has written, where the collection has an owner. */
  subject?: string | undefined;
  /** It may change the items of all owners, and keeps the owner of an item that is there. */
  anyOwner?: boolean | undefined;
};

export type ClientWriteKind = "create" | "put" | "delete";
/** An `expire` is the sweep's own: it makes an expired row a tombstone. */
export type WriteKind = ClientWriteKind | "expire";

/** The content of a Pub/Sub message, pulled or pushed; see {@link Write} for `publishedAt`. */
export type MessageContent = {
  attributes: Record<string, string>;
  data: Buffer;
  publishedAt?: number | undefined;
};

const TYPE_PREFIX = "dev.constancia.";
const SPEC_VERSION = "1.0";
const CONTENT_TYPE = "application/json";
/** What a message may have. An attribute that is added here is unknown to the release before. */
export const ATTRIBUTES: ReadonlySet<string> = new Set([
  "ce-specversion",
  "ce-id",
  "ce-type",
  "ce-source",
  "ce-subject",
  "ce-time",
  "content-type",
  "schema",
  "traceparent",
  "if-match",
  "if-none-match",
  "fingerprint",
  "subject",
  "any-owner",
  "first-published",
]);
/** Beside these, CloudEvents' extensions, and what Pub/Sub and its clients add, have a prefix. */
const FOREIGN_ATTRIBUTE = /^(ce-|googclient_|CloudPubSub)/;
/** MySQL's DATETIME ends here; a UUIDv7 may say a later time. */
const TIME_LIMIT_MS = Date.UTC(10_000, 0, 1);
const SCHEMA = /^\d{1,9}$/;
const utf8 = new TextDecoder("utf-8", { fatal: true });
const FINGERPRINT = /^[0-9a-f]{64}$/;

/**
 * Encodes a write as a message: a CloudEvent (1.0.2) in the binary mode of the Pub/Sub protocol
 * binding, with the context in the attributes and the item's JSON as data.
 */
export function encodeWrite(write: Write): MessageContent {
  const attributes: Record<string, string> = {
    "ce-specversion": SPEC_VERSION,
    "ce-id": write.id,
    "ce-type": TYPE_PREFIX + write.kind,
    "ce-source": `/api/${write.collection.name}`,
    "ce-subject": write.itemId,
    "ce-time": new Date(write.acceptedAt).toISOString(),
    "content-type": CONTENT_TYPE,
    schema: String(write.collection.schemaNumber),
  };
  if (write.ifMatch) attributes["if-match"] = write.ifMatch;
  if (write.ifNoneMatch) attributes["if-none-match"] = "*";
  if (write.fingerprint) attributes.fingerprint = write.fingerprint;
  if (write.traceparent) attributes.traceparent = write.traceparent;
  if (write.subject) attributes.subject = write.subject;
  if (write.anyOwner) attributes["any-owner"] = "true";
  if (write.firstPublishedAt !== undefined)
    attributes["first-published"] = new Date(write.firstPublishedAt).toISOString();
  return { attributes, data: Buffer.from(write.item ? JSON.stringify(write.item) : "") };
}

/**
 * Parses a message into a write. Throws an {@link UnknownSchemaError} for a write of a newer version
 * than this one, and an {@link InvalidWriteError} if it is not a valid write.
 */
export function parseWrite(message: MessageContent, collections: readonly Collection[]): Write {
  const { attributes, publishedAt } = message;
  if (attributes["ce-specversion"] !== SPEC_VERSION)
    throw new InvalidWriteError(
      `The message is not a CloudEvent of version ${SPEC_VERSION}: ` +
        `ce-specversion is ${quote(attributes["ce-specversion"])}.`,
    );
  const { kind, collection } = readSchema(attributes, collections);
  const id = attributes["ce-id"] ?? "";
  const write: Write = {
    id,
    kind,
    collection,
    itemId: attributes["ce-subject"] ?? "",
    acceptedAt: isWriteId(id) ? getWriteTime(id) : Number.NaN,
    publishedAt,
    item: hasItem(kind) ? parseItem(message.data) : undefined,
    ifMatch: attributes["if-match"],
    ifNoneMatch: attributes["if-none-match"] === "*" || undefined,
    fingerprint: attributes.fingerprint,
    traceparent: attributes.traceparent,
  };
  if (collection.owner !== undefined) {
    write.subject = attributes.subject;
    write.anyOwner = attributes["any-owner"] === "true" || undefined;
  }
  const firstPublished = collection.expires && attributes["first-published"];
  if (firstPublished !== undefined) write.firstPublishedAt = Date.parse(firstPublished);
  checkWrite(write);
  if (kind === "expire" && publishedAt !== undefined) write.acceptedAt = publishedAt;
  return write;
}

/** Reads what a newer version may have that this one does not know, and refuses that. */
function readSchema(
  attributes: MessageContent["attributes"],
  collections: readonly Collection[],
): { kind: WriteKind; collection: Collection } {
  const { "ce-type": type = "", "ce-source": source, schema = "0" } = attributes;
  const kind = type.slice(TYPE_PREFIX.length);
  if (!type.startsWith(TYPE_PREFIX) || !isWriteKind(kind)) {
    const sentence = `The type ${quote(type)} is not known to this version.`;
    throw type.startsWith(TYPE_PREFIX)
      ? new UnknownSchemaError(sentence)
      : new InvalidWriteError(sentence);
  }
  const collection = collections.find(({ name }) => source === `/api/${name}`);
  if (!collection) {
    const sentence = `The collection of ${quote(source)} is not declared.`;
    // CloudEvents requires a source.
    throw source ? new UnknownSchemaError(sentence) : new InvalidWriteError(sentence);
  }
  const { name, schemaNumber } = collection;
  if (!SCHEMA.test(schema))
    throw new InvalidWriteError(`The schema ${quote(schema)} is not a whole number.`);
  if (Number(schema) > schemaNumber)
    throw new UnknownSchemaError(
      `The schema ${schema} of ${name} is not known to this version, which knows ${schemaNumber}.`,
    );
  for (const attribute in attributes)
    if (!ATTRIBUTES.has(attribute) && !FOREIGN_ATTRIBUTE.test(attribute))
      throw new UnknownSchemaError(
        `The attribute ${quote(attribute)} is not known to this version.`,
      );
  return { kind, collection };
}

/**
 * Checks a delivered write, as the API has checked it before, and normalises its item. Throws
 * an {@link InvalidWriteError} that names the first thing that is wrong.
 */
export function checkWrite(write: Write): void {
  if (!isWriteId(write.id))
    throw new InvalidWriteError(`The write id ${quote(write.id)} is not a UUIDv7.`);
  if (getWriteTime(write.id) >= TIME_LIMIT_MS)
    throw new InvalidWriteError(`The write id ${write.id} has a time after the year 9999.`);
  if (!ITEM_ID.test(write.itemId))
    throw new InvalidWriteError(`The item id ${quote(write.itemId)} does not match ${ITEM_ID}.`);
  if (isVersionNamed(write) && !isWriteId(write.ifMatch))
    throw new InvalidWriteError(`The if-match ${quote(write.ifMatch)} is not a version.`);
  if (write.fingerprint !== undefined && !FINGERPRINT.test(write.fingerprint))
    throw new InvalidWriteError("The fingerprint is not a SHA-256.");
  const { firstPublishedAt = 0 } = write;
  if (!(firstPublishedAt >= 0 && firstPublishedAt < TIME_LIMIT_MS))
    throw new InvalidWriteError("The first-published is not a time.");
  if (write.kind === "expire" && !isVersionNamed(write))
    throw new InvalidWriteError("The if-match of an expire is not a version.");
  if (hasItem(write.kind)) {
    const checked = checkItem(write.collection, write.item);
    if (!checked.ok)
      throw new InvalidWriteError(`The item is not valid: ${formatErrors(checked.errors)}`);
    write.item = checked.item;
  }
  if (write.kind !== "expire") checkOwner(write);
}

/** In a collection with an owner, each write has a subject, whose the item is, or who may name another. */
function checkOwner({ collection, subject, anyOwner, item }: Write): void {
  const { name, owner } = collection;
  if (owner === undefined) return;
  if (subject === undefined || !PRINCIPAL.test(subject))
    throw new InvalidWriteError(
      `The subject is ${quote(subject)}, but the items of ${name} have owners.`,
    );
  if (item && item[owner] !== subject && !(anyOwner && item[owner] !== undefined))
    throw new InvalidWriteError(`The item's ${owner} is not the subject ${quote(subject)}.`);
}

/** Whether a write is applied only to a version that it names, or only where there is no item. */
export function isConditional({ ifMatch, ifNoneMatch }: Write): boolean {
  return ifMatch !== undefined || ifNoneMatch === true;
}

/** Whether a write is applied only to one version. */
export function isVersionNamed(write: Write): write is Write & { ifMatch: string } {
  return write.ifMatch !== undefined && write.ifMatch !== "*";
}

/** A write's own id, and that of the version it names. */
export function listWriteIds(write: Write): string[] {
  return isVersionNamed(write) ? [write.id, write.ifMatch] : [write.id];
}

function isWriteKind(kind: string): kind is WriteKind {
  return kind === "create" || kind === "put" || kind === "delete" || kind === "expire";
}

function hasItem(kind: WriteKind): boolean {
  return kind === "create" || kind === "put";
}

function parseItem(data: Buffer): Item {
  try {
    return parseJson(utf8.decode(data)) as Item;
  } catch {
    throw new InvalidWriteError("The data is not JSON in UTF-8.");
  }
}
