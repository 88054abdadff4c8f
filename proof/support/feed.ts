import { type Pool, query } from "../../common/database.ts";
import type { Change } from "./bundle-copy.ts";

/** Declares that the collection `data` has a feed. */
export const DECLARE_FEED: Change = {
  file: "collections/data.ts",
  edits: [{ find: /( +)name: "data",\n/, replace: "$&$1feed: true,\n" }],
};

/** Gives the table `data` what a feed needs, as docs/operations.md says. */
export async function addFeed(pool: Pool): Promise<void> {
  await query(
    pool,
    "ALTER TABLE data ADD COLUMN position BIGINT NOT NULL DEFAULT 0," +
      " ADD COLUMN created_position BIGINT NOT NULL DEFAULT 0, ALGORITHM = INSTANT",
  );
  await query(
    pool,
    "ALTER TABLE data ADD KEY changes (position), ADD KEY version (version)," +
      " ADD KEY newest_position (deleted_at, created_position), DROP KEY newest",
  );
  await query(pool, "INSERT INTO feeds VALUES ('data', UUID(), 0, 0)");
}
