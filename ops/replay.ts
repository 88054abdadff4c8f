import type { Collection } from "../common/collection.ts";
import { type Columns, type Pool, query } from "../common/database.ts";
import { fromDateTime, selectRows } from "../common/tables.ts";
import { InvalidWriteError, parseWrite, type Write } from "../common/write.ts";
import { getWriteTime, mintWriteId } from "../common/write-id.ts";

/** A row of `dead_letters`; times in RFC 3339. */
export type Letter = {
  messageId: string;
  writeId: string | null;
  attributes: Record<string, string>;
  data: Buffer;
  reason: string;
  firstSeen: string;
  lastSeen: string;
  replayedAt: string | null;
  replayedAs: string | null;
};

/**
 * The write that repeats a dead one: same effect, new id, and the condition that nothing newer
 * than the dead write has been applied, up to the moment at which it is settled.
 */
export async function planReplay(
  pool: Pool,
  letter: Letter,
  collections: readonly Collection[],
): Promise<{ write: Write } | { obstacle: string }> {
  if (letter.replayedAt) return { obstacle: `it was replayed as ${letter.replayedAs}` };
  let dead: Write;
  try {
    dead = parseWrite(letter, collections);
  } catch (error) {
    if (error instanceof InvalidWriteError) return { obstacle: error.message };
    throw error;
  }
  const [row] = await selectRows(pool, dead.collection, [dead.itemId]);
  const isThere = row !== undefined && row.deletedAt === null;
  if (row && row.version > dead.id)
    return { obstacle: `a newer write was applied: ${row.version}` };
  if (row && dead.kind === "create") return { obstacle: "the item exists" };
  if (dead.ifMatch && !(isThere && (dead.ifMatch === "*" || dead.ifMatch === row.version)))
    return { obstacle: `its condition, the version ${dead.ifMatch}, does not hold any more` };
  if (dead.ifNoneMatch && isThere) return { obstacle: "the item exists" };
  const id = mintWriteId(row && { version: row.version, seen: true });
  const write: Write = { ...dead, id, acceptedAt: getWriteTime(id) };
  if (dead.kind === "create") return { write };
  if (isThere) write.ifMatch = row.version;
  else write.ifNoneMatch = true;
  return { write };
}

/** The dead letters that `condition`, the end of the statement, selects. */
export async function selectLetters(
  pool: Pool,
  condition: string,
  values: readonly unknown[],
): Promise<Letter[]> {
  const rows = await query(
    pool,
    "SELECT message_id, write_id, attributes, data, reason, first_seen, last_seen, replayed_at," +
      ` replayed_as FROM dead_letters ${condition}`,
    values,
  );
  return rows.map((columns: Columns) => ({
    messageId: columns.message_id as string,
    writeId: columns.write_id as string | null,
    attributes: JSON.parse(columns.attributes as string),
    data: columns.data as Buffer,
    reason: columns.reason as string,
    firstSeen: formatTime(columns.first_seen as string),
    lastSeen: formatTime(columns.last_seen as string),
    replayedAt: columns.replayed_at === null ? null : formatTime(columns.replayed_at as string),
    replayedAs: columns.replayed_as as string | null,
  }));
}

function formatTime(text: string): string {
  return new Date(fromDateTime(text)).toISOString();
}
