import { z } from "zod";
import { type Collection, defineCollection, text } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import type { TestEnvironment } from "./environment.ts";

const title = text({ min: 1, max: 200 });
export const olderOrders = defineCollection({
  name: "orders",
  fields: { title, size: z.enum(["small", "large"]) },
  example: { title: "older", size: "small" },
});
/** Of the next release: a field more, a value more, and a collection more. */
export const newerOrders: Collection = {
  ...defineCollection({
    name: "orders",
    fields: { title, size: z.enum(["small", "large", "huge"]), note: title.optional() },
    example: { title: "newer", size: "huge", note: "x" },
  }),
  schemaNumber: 2,
};
export const rooms = defineCollection({
  name: "rooms",
  fields: { title },
  example: { title: "room" },
});
export const older = [olderOrders];
export const newer = [newerOrders, rooms];

/** Creates the tables of the newer release, whose migration comes first. */
export async function createTables({ pool }: TestEnvironment): Promise<void> {
  const TEXT = "VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL";
  await query(pool, "CREATE TABLE rooms LIKE data");
  await query(pool, `ALTER TABLE rooms DROP COLUMN nombre, ADD COLUMN title ${TEXT}`);
  await query(pool, "CREATE TABLE orders LIKE rooms");
  await query(pool, `ALTER TABLE orders ADD COLUMN size ${TEXT}, ADD COLUMN note ${TEXT}`);
}
