import { createHash } from "node:crypto";
import { truncate } from "./characters.ts";
import { type Collection, checkItem, formatErrors, type Item } from "./collection.ts";
import { parseJson } from "./json.ts";
import { getWriteTime, isWriteId } from "./write-id.ts";

/** One accepted request to create, put or delete one item. */
export type Write = {
  /** UUIDv7; the CloudEvent's id, and the item's version once applied. */
  id: string;
  kind: WriteKind;
  collection: Collection;
  itemId: string;
  /** Acceptance time in milliseconds since 1970: the time inside the id. */
  acceptedAt: number;
  /** Absent on a delete. */
  item?: Item | undefined;
  /** The version that the item must have (put, delete), or `*` for any. */
  ifMatch?: string | undefined;
  /** `If-None-Match: *`: the item must not exist (put). */
  ifNoneMatch?: boolean | undefined;
  /** SHA-256 of the canonical item, hexadecimal (keyed creates). */
  fingerprint?: string | undefined;
  /** W3C Trace Context, level 1. */
  traceparent?: string | undefined;
};

export type WriteKind = "create" | "put" | "delete";

/** The content of a Pub/Sub message, pulled or pushed. */
export type MessageContent = { attributes: Record<string, string>; data: Buffer };

/**
 * Item ids consist of RFC 3986's unreserved characters, which need no escaping in a URL. The two dot
 * segments are excluded: clients remove them from paths (section 5.2.4).
 */
export const ITEM_ID = /^(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}$/;

const TYPE_PREFIX = "dev.constancia.";
const SPEC_VERSION = "1.0";
const CONTENT_TYPE = "application/json";
const utf8 = new TextDecoder("utf-8", { fatal: true });
const QUOTED_CHARACTERS = 100;
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
  };
  if (write.ifMatch) attributes["if-match"] = write.ifMatch;
  if (write.ifNoneMatch) attributes["if-none-match"] = "*";
  if (write.fingerprint) attributes.fingerprint = write.fingerprint;
  if (write.traceparent) attributes.traceparent = write.traceparent;
  return { attributes, data: Buffer.from(write.item ? JSON.stringify(write.item) : "") };
}

/** Parses a message into a write. Throws an {@link InvalidWriteError} if it is not a valid one. */
export function parseWrite(message: MessageContent, collections: readonly Collection[]): Write {
  const { attributes } = message;
  if (attributes["ce-specversion"] !== SPEC_VERSION)
    throw new InvalidWriteError(
      `The message is not a CloudEvent of version ${SPEC_VERSION}: ` +
        `ce-specversion is ${quote(attributes["ce-specversion"])}.`,
    );
  const type = attributes["ce-type"] ?? "";
  const kind = type.slice(TYPE_PREFIX.length);
  if (!type.startsWith(TYPE_PREFIX) || !isWriteKind(kind))
    throw new InvalidWriteError(`The type ${quote(type)} is not known to this version.`);
  const collection = collections.find(({ name }) => attributes["ce-source"] === `/api/${name}`);
  if (!collection)
    throw new InvalidWriteError(
      `The collection of ${quote(attributes["ce-source"])} is not declared.`,
    );
  const id = attributes["ce-id"] ?? "";
  const write: Write = {
    id,
    kind,
    collection,
    itemId: attributes["ce-subject"] ?? "",
    acceptedAt: isWriteId(id) ? getWriteTime(id) : Number.NaN,
    item: kind === "delete" ? undefined : parseItem(message.data),
    ifMatch: attributes["if-match"],
    ifNoneMatch: attributes["if-none-match"] === "*" || undefined,
    fingerprint: attributes.fingerprint,
    traceparent: attributes.traceparent,
  };
  checkWrite(write);
  return write;
}

/**
 * Checks a write, before it is published and again after delivery, and normalises its item. Throws
 * an {@link InvalidWriteError} that names the first thing that is wrong.
 */
export function checkWrite(write: Write): void {
  if (!isWriteId(write.id))
    throw new InvalidWriteError(`The write id ${quote(write.id)} is not a UUIDv7.`);
  if (!ITEM_ID.test(write.itemId))
    throw new InvalidWriteError(`The item id ${quote(write.itemId)} does not match ${ITEM_ID}.`);
  if (write.ifMatch !== undefined && write.ifMatch !== "*" && !isWriteId(write.ifMatch))
    throw new InvalidWriteError(`The if-match ${quote(write.ifMatch)} is not a version.`);
  if (write.fingerprint !== undefined && !FINGERPRINT.test(write.fingerprint))
    throw new InvalidWriteError("The fingerprint is not a SHA-256.");
  if (write.kind === "delete") return;
  const checked = checkItem(write.collection, write.item);
  if (!checked.ok)
    throw new InvalidWriteError(`The item is not valid: ${formatErrors(checked.errors)}`);
  write.item = checked.item;
}

/** Computes the SHA-256 of an item with its keys sorted, so that their order does not matter. */
export function computeFingerprint(item: Item): string {
  return createHash("sha256")
    .update(JSON.stringify(sortKeys(item)))
    .digest("hex");
}

/** A message that can never be settled as a write: its `message` is the dead letter's reason. */
export class InvalidWriteError extends Error {
  override name = "InvalidWriteError";
}

function isWriteKind(kind: string): kind is WriteKind {
  return kind === "create" || kind === "put" || kind === "delete";
}

function parseItem(data: Buffer): Item {
  try {
    return parseJson(utf8.decode(data)) as Item;
  } catch {
    throw new InvalidWriteError("The data is not JSON in UTF-8.");
  }
}

/** Quotes a value from outside in a reason, cut to {@link QUOTED_CHARACTERS}. */
function quote(value: string | undefined): string {
  if (value === undefined) return "missing";
  return JSON.stringify(truncate(value.toWellFormed(), QUOTED_CHARACTERS));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sortKeys(part)]),
  );
}
