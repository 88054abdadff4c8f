import { query } from "../../common/database.ts";
import { mintWriteId } from "../../common/write-id.ts";
import type { TestEnvironment } from "./environment.ts";

/** The items `large-1` to `large-300` of the collection `documents`, with a text of this size each. */
export const LARGE_ITEMS = { count: 300, textBytes: 250_000 };

/** Inserts {@link LARGE_ITEMS}. */
export async function insertLargeItems({ pool }: TestEnvironment): Promise<void> {
  await query(
    pool,
    "INSERT INTO documents (id, version, content, created_at, updated_at, applied_at)" +
      " WITH RECURSIVE numbers AS" +
      `  (SELECT 1 AS number UNION ALL SELECT number + 1 FROM numbers WHERE number < ${LARGE_ITEMS.count})` +
      " SELECT CONCAT('large-', number), CONCAT(LEFT(?, 24), LPAD(number, 12, '0')), JSON_ARRAY(REPEAT('x', ?)), NOW(3), NOW(3), NOW(3)" +
      " FROM numbers",
    [mintWriteId(), LARGE_ITEMS.textBytes],
  );
}
