import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readChoice } from "../../ops/command-line.ts";

/** A mistake in one file: what is replaced, and by what. Every `find` must be in the file. */
type Break = { means: string; file: string; edits: { find: RegExp; replace: string }[] };

/** Plausible mistakes. A proof that does not find them proves nothing. */
export const BREAKS: Record<string, Break> = {
  "ack-before-commit": {
    means: "acknowledges a message before its transaction has committed",
    file: "subscriber/pull.ts",
    edits: [
      {
        find: /^( *)(const \w+ = await batcher\.add\([\s\S]*?else (\w+\.ack\(\w*\);))/m,
        replace: "$1$3\n$1$2",
      },
      { find: /else \w+\.ack\(\w*\);/, replace: "else {}" },
    ],
  },
  "no-version-guard": {
    means: "applies a write over a newer one",
    file: "subscriber/decide.ts",
    edits: [{ find: /return .*superseded\(row\) : APPLIED;/, replace: "return APPLIED;" }],
  },
  "no-for-update": {
    means: "reads rows without locking them",
    file: "common/row-states.ts",
    edits: [{ find: / FOR UPDATE/, replace: "" }],
  },
  "receipt-apart": {
    means: "commits the rows before the receipts are written",
    file: "subscriber/apply.ts",
    edits: [
      {
        find: /^ *await insertReceipts\(connection/m,
        replace:
          '  await connection.query("COMMIT");\n  await connection.query("START TRANSACTION");\n$&',
      },
    ],
  },
  "swallowed-nack": {
    means: "acknowledges a message that it should nack",
    file: "subscriber/pull.ts",
    edits: [{ find: /\.nack\(/g, replace: ".ack(" }],
  },
  "row-before-receipt": {
    means: "answers with the row from before its receipt was found: 410, of an item that exists",
    file: "common/receipts.ts",
    edits: [{ find: /^ *await readRows\(others\.filter.*\n/m, replace: "" }],
  },
  "guessed-created": {
    means: "answers 200 to a put that created its item",
    file: "api/answer/writes.ts",
    edits: [{ find: /const isNew = created \?\? /, replace: "const isNew = " }],
  },
  "other-items-row": {
    means: "answers reads in the order of MySQL's rows, with another item's content",
    file: "api/reader.ts",
    edits: [
      {
        find: /return keys\.map\(\(\{ itemId \}\) => byId\.get\(itemId\)\);/,
        replace: "return keys.map((_, index) => rows[index]);",
      },
    ],
  },
  "after-ignored": {
    means: "answers a read with ?after= before that write is settled",
    file: "api/routes/reads.ts",
    edits: [{ find: /if \(after !== undefined\) await/, replace: 'if (after === "") await' }],
  },
  "deleted-as-absent": {
    means: "answers 404 for an item that was deleted",
    file: "api/routes/reads.ts",
    edits: [{ find: /new Problem\("deleted"/, replace: 'new Problem("not-found"' }],
  },
};

/** The list of breaks for a `--help`. */
export const BREAKS_HELP = Object.entries(BREAKS)
  .map(([name, { means }]) => `  ${name.padEnd(18)} ${means}`)
  .join("\n");

const ROOT = join(import.meta.dirname, "..", "..");
/** The sources of the bundle. */
const SOURCES = [
  "api",
  "subscriber",
  "common",
  "collections",
  "deploy",
  "package.json",
  "tsconfig.json",
];

/** Reads the value of `--break`. */
export function readBreak(name: string | undefined, more: readonly string[] = []) {
  return name === undefined
    ? undefined
    : readChoice("break", name, [...Object.keys(BREAKS), ...more]);
}

/** Bundles both processes from a copy of the sources with the mistake; returns the folder. */
export function bundleBroken(name: string, folder: string): string {
  const { file } = BREAKS[name] as Break;
  const tree = join(folder, `broken-${name}`);
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  for (const source of SOURCES) cpSync(join(ROOT, source), join(tree, source), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  writeFileSync(join(tree, file), breakText(name));
  execFileSync(process.execPath, [join(tree, "deploy", "bundle.ts")], { stdio: "inherit" });
  return join(tree, "dist");
}

/** The text of the file with the mistake. Throws where the file no longer has what is replaced. */
export function breakText(name: string): string {
  const { file, edits } = BREAKS[name] as Break;
  let text = readFileSync(join(ROOT, file), "utf8");
  for (const { find, replace } of edits) {
    if (text.search(find) < 0)
      throw new Error(`${file} no longer has what the break ${name} replaces: ${find}`);
    text = text.replace(find, replace);
  }
  return text;
}
