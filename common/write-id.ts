import { createHash } from "node:crypto";
import { randomBytes } from "./random.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The last id's place in this process's sequence; the sequence never goes back. */
let lastMs = 0;
let lastSequence = 0;

/**
 * Mints a write id: a UUIDv7 (RFC 9562, section 6.2, method 1: a 32-bit counter behind the
 * milliseconds), greater as a string than every id minted by this process before it.
 * `after`, a version that a conditional write names, makes the id greater than that one too,
 * whatever the clocks of the two machines say. Only a version seen in the database may be given
 * with `seen: true`: it moves the process's sequence on; one that a client merely names does not,
 * or any client could push this process's clock ahead.
 */
export function mintWriteId(after?: { version: string; seen: boolean }): string {
  const nowMs = Date.now();
  if (after) {
    const afterMs = getWriteTime(after.version) + 1;
    if (afterMs > nowMs && afterMs > lastMs) {
      if (!after.seen) return formatId(afterMs, startSequence());
      lastMs = afterMs;
      lastSequence = startSequence();
    }
  }
  if (nowMs > lastMs) {
    lastMs = nowMs;
    lastSequence = startSequence();
  } else {
    lastSequence += 1;
  }
  return formatId(lastMs, lastSequence);
}

/** Whether `value` is a UUIDv7 in its canonical lower-case form. */
export function isWriteId(value: string): boolean {
  return UUID_V7.test(value);
}

/** The acceptance time inside a write id, in milliseconds since 1970. */
export function getWriteTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/**
 * The item id of a keyed create: a UUIDv8 (RFC 9562, section 5.8) of the SHA-256 of collection,
 * API key name, idempotency key and, in a bulk request, the record's place. A retry of the same
 * request therefore meets its own row, for as long as the row exists.
 */
export function deriveItemId(parts: readonly (string | number)[]): string {
  const bytes = createHash("sha256").update(JSON.stringify(parts)).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return formatUuid(bytes);
}

/** Of the id that is being made. */
const made = Buffer.alloc(16);

/**
 * RFC 9562, section 5.7: 48 bits of milliseconds, the version, 12 bits of the counter, the variant,
 * and the counter's other 20 bits; 42 random ones after them.
 */
function formatId(ms: number, sequence: number): string {
  randomBytes(6).copy(made, 10);
  made.writeUIntBE(ms, 0, 6);
  made[6] = 0x70 | (sequence >>> 28);
  made[7] = sequence >>> 20;
  made[8] = 0x80 | ((sequence >>> 14) & 0x3f);
  made[9] = sequence >>> 6;
  made[10] = ((sequence & 0x3f) << 2) | ((made[10] as number) & 0x03);
  return formatUuid(made);
}

/** 8, 4, 4, 4 and 12 hexadecimal digits (RFC 9562, section 4). */
function formatUuid(uuid: Buffer): string {
  const hex = uuid.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Each millisecond's counter starts at random, so that of two processes' ids in one millisecond 73
 * bits differ by chance; its highest bit stays free to count on.
 */
function startSequence(): number {
  return randomBytes(4).readUInt32BE() >>> 1;
}
