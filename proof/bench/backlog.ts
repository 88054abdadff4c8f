import { query } from "../../common/database.ts";
import type { MessageContent } from "../../common/write.ts";
import type { Database } from "./database.ts";
import type { BenchEnvironment } from "./environment.ts";

/** Messages that are being published at once. */
const AT_ONCE = 5_000;
const BATCHING = { maxMessages: 500, maxBytes: 5 * 1024 * 1024, maxMilliseconds: 5 };

/** Publishes `count` messages; resolves once Pub/Sub has them all. */
export async function fillTopic(
  environment: BenchEnvironment,
  topic: string,
  count: number,
  next: () => MessageContent,
): Promise<void> {
  const publisher = environment.client().topic(topic, { batching: BATCHING });
  for (let sent = 0; sent < count; sent += AT_ONCE) {
    const some = Math.min(AT_ONCE, count - sent);
    await Promise.all(Array.from({ length: some }, () => publisher.publishMessage(next())));
  }
}

/** Rows inserted into a database's table so far, by MySQL's own count, which is cheap to read. */
export async function countInserts(database: Database): Promise<number> {
  const [row] = await query(
    database.pool,
    "SELECT COUNT_INSERT AS inserts FROM performance_schema.table_io_waits_summary_by_table" +
      " WHERE OBJECT_SCHEMA = ? AND OBJECT_NAME = ?",
    [database.name, database.table],
  );
  return Number(row?.inserts ?? 0);
}
