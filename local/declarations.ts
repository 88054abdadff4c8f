import { readFile } from "node:fs/promises";
import { DeclarationError } from "../common/fields.ts";
import { parseJson } from "../common/json.ts";
import { listChanged, type SchemaNumbers } from "../common/schema-numbers.ts";
import type { Say } from "./processes.ts";

const NUMBERS = new URL("../collections/schemas.json", import.meta.url);

/**
 * Loads the collections before anything is started, so that what is wrong with a declaration is said
 * once. Rejects with a sentence for a declaration that is refused, and with the stack of any other
 * error of its file. Says where `collections/schemas.json` is older than the declarations.
 */
export async function checkDeclarations(
  say: Say,
  load = () => import("../collections/collections.ts"),
): Promise<void> {
  const { collections } = await load().catch((error: Error) => {
    throw error instanceof DeclarationError ? error : new Error(error.stack);
  });
  const numbers = parseJson(await readFile(NUMBERS, "utf8")) as SchemaNumbers;
  const changed = listChanged(collections, numbers);
  if (changed.length > 0)
    say(
      `collections/schemas.json is older than the declarations of ${changed.join(", ")}; before you` +
        " commit them, run npm run ops -- schemas",
    );
}
