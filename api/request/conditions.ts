import { CONDITION_WAIT_MS } from "../../common/limits.ts";
import type { Row } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { Problem } from "../answer/problem.ts";
import type { Reader } from "../reader.ts";

/**
 * Throws 412 where the row already shows that a write's condition cannot hold. Where it may still
 * hold, or MySQL does not respond, settlement decides. Returns whether the version in If-Match is
 * the row's.
 */
export async function checkCondition(reader: Reader, write: Write): Promise<boolean> {
  const row = await rowIfReadable(reader, write);
  if (row === "unknown") return false;
  const isThere = row !== undefined && row.deletedAt === null;
  if (write.ifNoneMatch) {
    if (isThere) throw new Problem("failed-precondition", "The item already exists.");
    return false;
  }
  const version = write.ifMatch as string;
  if (version === "*" || (isThere && row.version === version)) return true;
  const isInFlight =
    version > (row?.version ?? "") && Date.now() - getWriteTime(version) < CONDITION_WAIT_MS;
  if (isInFlight) return false;
  throw new Problem("failed-precondition", "The item is not at the version in If-Match.");
}

/** Throws 422 where the row already shows that the idempotency key was used with another body. */
export async function checkReusedKey(reader: Reader, write: Write): Promise<void> {
  const row = await rowIfReadable(reader, write);
  if (row === "unknown" || !row?.fingerprint || row.fingerprint === write.fingerprint) return;
  throw new Problem("reused-key", "The Idempotency-Key was already used with another body.");
}

async function rowIfReadable(reader: Reader, write: Write): Promise<Row | undefined | "unknown"> {
  try {
    return await reader.row(write.collection, write.itemId);
  } catch (error) {
    if (error instanceof Problem && error.status === 503) return "unknown";
    throw error;
  }
}
