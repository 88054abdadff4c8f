import { collections } from "../collections/collections.ts";
import type { Collection } from "../common/collection.ts";
import { query } from "../common/database.ts";
import { mintTraceparent } from "../common/tracing.ts";
import { encodeWrite, type MessageContent } from "../common/write.ts";
import { mintWriteId, timeOfWriteId } from "../common/write-id.ts";
import type { Database, Stage } from "./stage.ts";

/** Messages under way to Pub/Sub at once. */
const AT_ONCE = 5_000;
const BATCHING = { maxMessages: 500, maxBytes: 5 * 1024 * 1024, maxMilliseconds: 5 };

/** A create of a new item, as our API publishes it. */
export function mintCreate(): MessageContent {
  return mint("create", mintWriteId());
}

/** A put on an item that may be there already. */
export function mintPut(itemId: string): MessageContent {
  return mint("put", itemId);
}

/** What the peers' APIs publish. */
export const SEED_MESSAGE: MessageContent = {
  attributes: {},
  data: Buffer.from(JSON.stringify({ nombre: "Valpo" })),
};
export const NEST_MESSAGE: MessageContent = {
  attributes: {},
  data: Buffer.from(JSON.stringify({ pattern: "tema.created", data: { nombre: "Valpo" } })),
};

/** Publishes `count` messages; resolves once Pub/Sub holds them all. */
export async function fillTopic(
  stage: Stage,
  topic: string,
  count: number,
  next: () => MessageContent,
): Promise<void> {
  const publisher = stage.pubsub.topic(topic, { batching: BATCHING });
  for (let sent = 0; sent < count; sent += AT_ONCE) {
    const some = Math.min(AT_ONCE, count - sent);
    await Promise.all(Array.from({ length: some }, () => publisher.publishMessage(next())));
  }
}

/** Rows put into a database's table so far, by the server's own count, which costs it nothing. */
export async function countInserts(database: Database): Promise<number> {
  const [row] = await query(
    database.pool,
    "SELECT COUNT_INSERT AS inserts FROM performance_schema.table_io_waits_summary_by_table" +
      " WHERE OBJECT_SCHEMA = ? AND OBJECT_NAME = ?",
    [database.name, database.table],
  );
  return Number(row?.inserts ?? 0);
}

function mint(kind: "create" | "put", itemId: string): MessageContent {
  const id = mintWriteId();
  return encodeWrite({
    ...{ id, kind, collection: collections[0] as Collection, itemId },
    ...{ acceptedAt: timeOfWriteId(id), item: { nombre: "Valpo" } },
    traceparent: mintTraceparent(),
  });
}
