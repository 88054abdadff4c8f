import { createHash } from "node:crypto";
import { fillRandom } from "./random.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The counter's 32 bits. */
const MAX_SEQUENCE = 2 ** 32 - 1;
/** From one id to the next; the counters between are those of {@link deriveNextId}. */
const SEQUENCE_STEP = 2 ** 16;

/** Reused for each id. */
const idBytes = Buffer.alloc(16);

/** The time and counter of the last id; together they never decrease. */
let lastMs = 0;
let lastSequence = 0;
/** The counter of the last id that was minted ahead of this process's clock. */
let lastAheadSequence = startSequence();

/**
 * Mints a write id: a UUIDv7 (RFC 9562, section 6.2, method 1: a 32-bit counter after the
 * milliseconds) that is greater, as a string, than all ids that this process minted before.
 *
 * With `after`, the version that a conditional write names, the id is also greater than that
 * version, even if another machine's clock is ahead. Pass `seen: true` only for a version that was
 * read from the database: it advances the process's sequence. A version that a client merely names
 * must not, or any client could push the sequence ahead: such an id is ahead of the sequence, in
 * order with the others that are, and the ids without `after` are less until the clock has passed.
 */
export function mintWriteId(after?: { version: string; seen: boolean }): string {
  const nowMs = Date.now();
  if (after) {
    const afterMs = getWriteTime(after.version) + 1;
    if (afterMs > nowMs && afterMs > lastMs) {
      if (!after.seen) return formatId(afterMs, countAhead());
      lastMs = afterMs;
      lastSequence = countAhead();
    }
  }
  if (nowMs > lastMs) {
    lastMs = nowMs;
    lastSequence = startSequence();
  } else if (lastSequence + SEQUENCE_STEP > MAX_SEQUENCE) {
    // The clock has stood still, or moved back, for tens of thousands of ids.
    lastMs += 1;
    lastSequence = startSequence();
  } else {
    lastSequence += SEQUENCE_STEP;
  }
  return formatId(lastMs, lastSequence);
}

/**
 * Derives the id of the write that repeats another one: the next counter of the same millisecond,
 * and 42 bits of the id's SHA-256. So it stands in the other's place in the order of all writes: a
 * process leaves 65,535 counters after each id that it mints. The same id always derives the same one.
 */
export function deriveNextId(id: string): string {
  return formatNextId(id, createHash("sha256").update(id).digest());
}

/**
 * Derives the id of the sweep's write that ends a version at its expiry (milliseconds since 1970): it
 * follows the version as {@link deriveNextId}'s does, so that all writes made since are newer, and
 * however often it is published, it is one write.
 */
export function deriveExpireId(version: string, expiresAt: number): string {
  return formatNextId(version, createHash("sha256").update(`${version} ${expiresAt}`).digest());
}

function formatNextId(id: string, digest: Buffer): string {
  const sequence = readSequence(id);
  return sequence === MAX_SEQUENCE
    ? formatId(getWriteTime(id) + 1, 0, digest)
    : formatId(getWriteTime(id), sequence + 1, digest);
}

/** Whether `value` is a UUIDv7 in its canonical lower-case form. */
export function isWriteId(value: string): boolean {
  return UUID_V7.test(value);
}

/** The acceptance time inside a write id, in milliseconds since 1970. */
export function getWriteTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The lowest write id of a millisecond. */
export function getLowestIdAt(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/**
 * Derives the item id of a keyed create: a UUIDv8 (RFC 9562, section 5.8) of the SHA-256 of the
 * collection, the API key's name, the idempotency key and, in a bulk request, the record's position.
 * A retry therefore finds its own row, as long as the row exists.
 */
export function deriveItemId(parts: readonly (string | number)[]): string {
  const bytes = createHash("sha256").update(JSON.stringify(parts)).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return formatUuid(bytes);
}

/**
 * Formats a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, the version, 12 bits of the
 * counter, the variant, the counter's other 20 bits, and 42 bits of `tail`, its first 6 bytes.
 */
function formatId(ms: number, sequence: number, tail?: Buffer): string {
  if (tail) tail.copy(idBytes, 10, 0, 6);
  else fillRandom(idBytes, 10, 6);
  idBytes.writeUIntBE(ms, 0, 6);
  idBytes[6] = 0x70 | (sequence >>> 28);
  idBytes[7] = sequence >>> 20;
  idBytes[8] = 0x80 | ((sequence >>> 14) & 0x3f);
  idBytes[9] = sequence >>> 6;
  idBytes[10] = ((sequence & 0x3f) << 2) | ((idBytes[10] as number) & 0x03);
  return formatUuid(idBytes);
}

/** The counter inside a write id. */
function readSequence(id: string): number {
  const bytes = Buffer.from(id.replaceAll("-", ""), "hex");
  const high = bytes.readUInt16BE(6) & 0x0fff;
  return high * 2 ** 20 + ((bytes.readUIntBE(8, 3) & 0x3fffff) >>> 2);
}

/** 8, 4, 4, 4 and 12 hexadecimal digits (RFC 9562, section 4). */
function formatUuid(uuid: Buffer): string {
  const hex = uuid.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Returns the first counter of a millisecond. It is random, so that two processes' ids of one
 * millisecond have 73 random bits; the highest bit is 0, to leave room for counting.
 */
function startSequence(): number {
  fillRandom(idBytes, 0, 4);
  return idBytes.readUInt32BE() >>> 1;
}

/** Returns the next counter of the ids that are ahead of the clock, so that those are in order. */
function countAhead(): number {
  lastAheadSequence += SEQUENCE_STEP;
  if (lastAheadSequence > MAX_SEQUENCE) lastAheadSequence = startSequence();
  return lastAheadSequence;
}
