import { type Collection, defineCollection, text } from "../../common/collection.ts";
import { type Pool, query } from "../../common/database.ts";
import { formatKeys } from "../../test/support/keys.ts";
import type { Change } from "./bundle-copy.ts";

/** Who writes; the secret of each one's API key is the name. */
export const SUBJECTS = ["ana", "berta", "carla"] as const;

/** Declares that the items of the collection `data` have owners. */
export const DECLARE_OWNER: Change = {
  file: "collections/data.ts",
  edits: [{ find: /( +)name: "data",\n/, replace: '$&$1owner: "user",\n' }],
};

/** The collection that is declared so. */
export const DATA_WITH_OWNER: Collection = defineCollection({
  name: "data",
  owner: "user",
  fields: { nombre: text({ min: 1, max: 255 }) },
  example: { nombre: "Valpo" },
});

/** What the API needs to tell the subjects from each other. */
export const OWNER_ENV = {
  API_KEYS: formatKeys({ ana: "write", berta: "write", carla: "write" }),
  ACCESS: "public-reads",
};

/** Gives the table `data` the column of the owner, as docs/operations.md says. */
export async function addOwner(pool: Pool): Promise<void> {
  await query(
    pool,
    "ALTER TABLE data ADD COLUMN owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL," +
      " ALGORITHM = INSTANT",
  );
}
