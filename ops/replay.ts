import type { Collection } from "../common/collection.ts";
import { type Columns, type Pool, query } from "../common/database.ts";
import { fromDateTime } from "../common/date-times.ts";
import { parseJson } from "../common/json.ts";
import { CLOCK_SKEW_MS, DAY_MS } from "../common/limits.ts";
import { selectStates } from "../common/row-states.ts";
import { parseWrite, type Write } from "../common/write.ts";
import { InvalidWriteError } from "../common/write-errors.ts";
import { deriveNextId, getWriteTime } from "../common/write-id.ts";
import { type Decision, decide } from "../subscriber/decide.ts";

/** A replay is settled within this time; the tombstones that it must meet are kept for so long. */
const SETTLED_WITHIN_DAYS = 1;

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
  /** When the message was published; null where an earlier release kept the letter. */
  publishedAt: string | null;
};

/**
 * The write that repeats a dead one. Its id follows the dead write's ({@link deriveNextId}), so that
 * it is settled as the dead write would have been, behind whatever is newer, up to the moment at which
 * it is settled; and however often it is published, it is one write. The rest is the dead write's own.
 *
 * A dead write of the time whose tombstones are deleted is refused: a newer delete may be forgotten.
 */
export async function planReplay(
  pool: Pool,
  letter: Letter,
  collections: readonly Collection[],
  retentionDays: number,
): Promise<{ write: Write } | { obstacle: string }> {
  if (letter.replayedAt) return { obstacle: `it was replayed as ${letter.replayedAs}` };
  const { attributes, data, publishedAt } = letter;
  let dead: Write;
  try {
    dead = parseWrite({ attributes, data }, collections);
  } catch (error) {
    if (error instanceof InvalidWriteError) return { obstacle: error.message };
    throw error;
  }
  const ageMs = Date.now() - dead.acceptedAt;
  if (ageMs > (retentionDays - SETTLED_WITHIN_DAYS) * DAY_MS)
    return { obstacle: "it is older than the retention, in which newer deletes are known" };
  if (ageMs < -CLOCK_SKEW_MS) return { obstacle: "its id is from the future" };
  const id = deriveNextId(dead.id);
  const [row] = await selectStates(pool, dead.collection, [dead.itemId]);
  const write: Write = { ...dead, id, acceptedAt: getWriteTime(id) };
  if (dead.collection.expires) {
    if (publishedAt === null)
      return { obstacle: "its items expire, and it is not known when it was published" };
    write.firstPublishedAt ??= Date.parse(publishedAt);
  }
  const obstacle = findObstacle(decide({ ...write, publishedAt: Date.now() }, row), id);
  return obstacle === undefined ? { write } : { obstacle };
}

/** Why a replay that is decided so would not be applied; undefined where it would. */
function findObstacle(decision: Decision, id: string): string | undefined {
  if (decision.kind === "settled-before") return `it was replayed as ${id}`;
  if (decision.kind === "settled" && decision.outcome === "applied") return undefined;
  return decision.reason ?? decision.kind;
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
      ` replayed_as, published_at FROM dead_letters ${condition}`,
    values,
  );
  return rows.map((columns: Columns) => ({
    messageId: columns.message_id as string,
    writeId: columns.write_id as string | null,
    attributes: parseJson(columns.attributes as string) as Record<string, string>,
    data: columns.data as Buffer,
    reason: columns.reason as string,
    firstSeen: formatTime(columns.first_seen as string),
    lastSeen: formatTime(columns.last_seen as string),
    replayedAt: formatNullableTime(columns.replayed_at),
    replayedAs: columns.replayed_as as string | null,
    publishedAt: formatNullableTime(columns.published_at),
  }));
}

function formatNullableTime(column: unknown): string | null {
  return column === null ? null : formatTime(column as string);
}

function formatTime(text: string): string {
  return new Date(fromDateTime(text)).toISOString();
}
