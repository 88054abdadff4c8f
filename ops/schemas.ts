import { readFile, writeFile } from "node:fs/promises";
import { parseJson } from "../common/json.ts";
import { listChanged, type SchemaNumbers, updateSchemaNumbers } from "../common/schema-numbers.ts";
import { parseOptions } from "./command-line.ts";
import { type Program, runMain, type Terminal } from "./terminal.ts";

const FILE = new URL("../collections/schemas.json", import.meta.url);

const HELP = `Numbers the declarations of the collections in collections/schemas.json.

Usage: npm run ops -- schemas [--check]

Messages carry the number, so that a subscriber gives back the writes of a newer declaration than
its own. Run it after each change to a collection, and commit the file.

  --check  change nothing; the exit status says whether the file is up to date

Exit status: 0 done, 1 the file is not up to date, 2 wrong usage.
`;

/** `npm run ops -- schemas`. */
export const SCHEMAS: Program = { main, help: HELP };

if (import.meta.main) await runMain(SCHEMAS);

async function main(args: string[], { print, printError }: Terminal): Promise<number> {
  const { values } = parseOptions({ args, options: { check: { type: "boolean" } } });
  // Loaded here, so that a declaration that is refused is a sentence and no stack.
  const { collections } = await import("../collections/collections.ts");
  const numbers = parseJson(await readFile(FILE, "utf8")) as SchemaNumbers;
  const changed = listChanged(collections, numbers);
  if (changed.length === 0) return 0;
  if (values.check) {
    printError(
      `The declarations of ${changed.join(", ")} have changed since collections/schemas.json was` +
        " written: run npm run ops -- schemas, and commit it.\n",
    );
    return 1;
  }
  const updated = updateSchemaNumbers(collections, numbers);
  await writeFile(FILE, `${JSON.stringify(updated, null, 2)}\n`);
  for (const name of changed) print(`${name} is at schema ${updated[name]?.schema} now\n`);
  return 0;
}
