import type { Collection } from "./collection.ts";
import { toColumn } from "./column-values.ts";
import type { PoolConnection } from "./database.ts";
import { toDateTime } from "./date-times.ts";
import type { Field } from "./fields.ts";
import { OWNER_COLUMN } from "./owner-field.ts";
import { queryEach } from "./streamed-query.ts";
import { getSql, type Row, type RowState, toRow } from "./tables.ts";

/**
 * A row's place in its list: the next page starts after it, at equal cost at any depth. `at` is the
 * time of creation, in milliseconds since 1970; where there is a feed, the position of the creation.
 */
export type Place = { at: number; id: string };

/** The place of a row in its list. */
export function getPlace({ feed }: Collection, row: RowState): Place {
  return { at: feed ? (row.createdPosition as number) : row.createdAt, id: row.id };
}

/**
 * Selects one page of a collection's items in order of creation, after `after` if it is given, and
 * hands over each row as it arrives, until `take` returns false. Where there is a feed, the order is
 * that of the commits, so that no item is passed by which is committed while a reader goes through the
 * pages. Filter values are compared exactly, including trailing spaces.
 */
export async function selectPage(
  connection: PoolConnection,
  collection: Collection,
  page: {
    filters: readonly { field: Field; value: unknown }[];
    newestFirst: boolean;
    after?: Place | undefined;
    limit: number;
    /** Whose items alone are read. */
    owner?: string | undefined;
  },
  take: (row: Row) => boolean,
): Promise<void> {
  const { table, reads, alive } = getSql(collection);
  const { feed } = collection;
  const order = feed ? "created_position" : "created_at";
  const conditions = ["deleted_at IS NULL", ...(alive ? [alive] : [])];
  const values: unknown[] = [];
  if (page.owner !== undefined) {
    conditions.push(`${OWNER_COLUMN} = ?`);
    values.push(page.owner);
  }
  for (const { field, value } of page.filters) {
    const column = `\`${field.column}\``;
    conditions.push(`${column} = ?`);
    values.push(toColumn(field.kind, value));
    if (field.kind !== "text") continue;
    conditions.push(`OCTET_LENGTH(${column}) = ?`);
    values.push(Buffer.byteLength(String(value)));
  }
  if (page.after) {
    // The first condition gives the index its range; a row constructor would not.
    const sign = page.newestFirst ? "<" : ">";
    conditions.push(`${order} ${sign}= ? AND (${order} ${sign} ? OR id ${sign} ?)`);
    const at = feed ? page.after.at : toDateTime(page.after.at);
    values.push(at, at, page.after.id);
  }
  // With the hint, MySQL does not estimate the range first, which takes a quarter of the time.
  const index = feed ? "newest_position" : "newest";
  const hint = page.filters.length === 0 ? `/*+ INDEX(${table} ${index}) */ ` : "";
  const direction = page.newestFirst ? "DESC" : "ASC";
  await queryEach(
    connection,
    `SELECT ${hint}${reads} FROM ${table} WHERE ${conditions.join(" AND ")}` +
      ` ORDER BY ${order} ${direction}, id ${direction} LIMIT ${page.limit}`,
    values,
    (columns) => take(toRow(collection, columns)),
  );
}
