import { dateTime, defineCollection } from "../../common/collection.ts";
import { type Pool, query } from "../../common/database.ts";
import type { Change } from "./bundle-copy.ts";

/** Berths, which are held for two seconds by the clock of the API. */
export const berths = defineCollection({
  name: "berths",
  owner: "user",
  fields: { heldUntil: dateTime().optional() },
  expires: { field: "heldUntil", most: "PT2S" },
  example: {},
});

/** Declares them beside the collection `data`. */
export const DECLARE_HOLDS: Change = {
  file: "collections/collections.ts",
  edits: [
    {
      find: /^import \{ data \} from .*\n/m,
      replace: `import { dateTime, defineCollection } from "../common/collection.ts";
$&
const berths = defineCollection({
  name: "berths",
  owner: "user",
  fields: { heldUntil: dateTime().optional() },
  expires: { field: "heldUntil", most: "PT2S" },
  example: {},
});
`,
    },
    { find: /\[data\]/, replace: "[data, berths]" },
  ],
};

/** Creates their table, as docs/operations.md says. */
export async function addHolds(pool: Pool): Promise<void> {
  await query(pool, "CREATE TABLE berths LIKE data");
  await query(
    pool,
    "ALTER TABLE berths DROP COLUMN nombre, ADD COLUMN held_until DATETIME(3) NULL," +
      " ADD COLUMN version_published_at DATETIME(3) NULL," +
      " ADD COLUMN owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL," +
      " ADD KEY expiring (deleted_at, held_until)",
  );
}
