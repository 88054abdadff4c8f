import { join } from "node:path";
import { readChoice } from "../../ops/command-line.ts";
import { bundleCopy, type Change } from "../support/bundle-copy.ts";

/** A mistake in one file; `ofOwner` or `ofFeed` where only a collection with one has it. */
type Break = Change & { means: string; ofOwner?: true; ofFeed?: true };

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
    file: "common/write-search.ts",
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
        find: /return ids\.map\(\(id\) => byId\.get\(id\)\);/,
        replace: "return ids.map((_, index) => rows[index]);",
      },
    ],
  },
  "after-ignored": {
    means: "answers a read with ?after= before that write is settled",
    file: "api/routes/after.ts",
    edits: [{ find: /if \(!key\) return;/, replace: "if (key !== null) return;" }],
  },
  "no-owner-guard": {
    means: "applies a write to an item of another owner",
    file: "subscriber/decide.ts",
    ofOwner: true,
    edits: [
      { find: /^ *if \(row && isAnothers\(row, write\)\) return NOT_OWNER;\n/m, replace: "" },
    ],
  },
  "delete-of-nothing": {
    means: "has a stranger's delete leave a tombstone where the item is still in flight",
    file: "subscriber/decide.ts",
    ofOwner: true,
    edits: [{ find: /^ *if \(!row && mustFindItem\(write\).*\n/m, replace: "" }],
  },
  "api-clock-judge": {
    means: "judges by an API's clock whether another's hold is over",
    file: "common/write.ts",
    ofOwner: true,
    edits: [{ find: /^ {4}publishedAt,$/m, replace: "    publishedAt: getWriteTime(id)," }],
  },
  "position-before-lock": {
    means: "reads the counter of a feed before it is locked",
    file: "common/feeds.ts",
    ofFeed: true,
    edits: [
      {
        find: /^ *const result: unknown = await/m,
        replace:
          '  const read = "SELECT position FROM feeds WHERE collection = ?";\n' +
          "  const [before] = await query(connection, read, [collection.name]);\n$&",
      },
      { find: /return insertId - count;/, replace: "return Number(before?.position);" },
    ],
  },
  "position-apart": {
    means: "gives back the lock of a feed's counter before the commit",
    file: "common/feeds.ts",
    ofFeed: true,
    edits: [
      {
        find: /await query\(connection, sql, \[count, collection\.name\]\)/,
        replace:
          "await new Promise((resolve, reject) => (connection as any).connection._pool" +
          ".query(sql, [count, collection.name], (error: any, done: any) =>" +
          " (error ? reject(error) : resolve(done))))",
      },
    ],
  },
  "changes-by-time": {
    means: "lists the changes of a feed in the order of acceptance",
    file: "common/feeds.ts",
    ofFeed: true,
    edits: [{ find: /ORDER BY position, id LIMIT/, replace: "ORDER BY updated_at, id LIMIT" }],
  },
  "deleted-as-absent": {
    means: "answers 404 for an item that was deleted",
    file: "api/routes/reads.ts",
    edits: [{ find: /new Problem\(\s*"deleted"/, replace: 'new Problem("not-found"' }],
  },
};

/** The list of breaks for a `--help`. */
export const BREAKS_HELP = Object.entries(BREAKS)
  .map(([name, { means }]) => `  ${name.padEnd(18)} ${means}`)
  .join("\n");

/** Reads the value of `--break`. */
export function readBreak(name: string | undefined, more: readonly string[] = []) {
  return name === undefined
    ? undefined
    : readChoice("break", name, [...Object.keys(BREAKS), ...more]);
}

/** Bundles both processes with the mistake, and other changes; returns the folder. */
export function bundleBroken(name: string, folder: string, more: readonly Change[] = []): string {
  return bundleCopy(join(folder, `broken-${name}`), [...more, BREAKS[name] as Break]);
}
