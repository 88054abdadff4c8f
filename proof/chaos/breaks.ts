import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A mistake that somebody could make: in each file, what is written instead of what. */
type Break = { means: string; file: string; replace: [from: string, to: string][] };

/** Each must be found; if none is, chaos proves nothing. */
export const BREAKS: Record<string, Break> = {
  "ack-before-commit": {
    means: "acknowledges a message before its transaction has committed",
    file: "subscriber/pull.ts",
    replace: [
      ["      const decision = await batcher.add", "      leases.ack(lease);\n$&"],
      ["      else leases.ack(lease);", ""],
    ],
  },
  "no-version-guard": {
    means: "applies a write over a newer one",
    file: "subscriber/decide.ts",
    replace: [
      [
        "write.ifMatch);\n  return row && row.version > write.id ? superseded(row) : APPLIED;",
        "write.ifMatch);\n  return APPLIED;",
      ],
    ],
  },
  "no-for-update": {
    means: "reads rows without locking them",
    file: "common/tables.ts",
    replace: [[" ORDER BY id FOR UPDATE", " ORDER BY id"]],
  },
  "receipt-apart": {
    means: "commits the rows before the receipts are written",
    file: "subscriber/apply.ts",
    replace: [
      [
        "  await insertReceipts(connection",
        '  await connection.query("COMMIT");\n  await connection.query("START TRANSACTION");\n$&',
      ],
    ],
  },
  "swallowed-nack": {
    means: "acknowledges what it should give back",
    file: "subscriber/pull.ts",
    replace: [
      ["leases.nack(lease)", "leases.ack(lease)"],
      ["leases.nack(lease)", "leases.ack(lease)"],
    ],
  },
};

const ROOT = join(import.meta.dirname, "..", "..");
/** What the bundle is made of. */
const SOURCES = [
  "api",
  "subscriber",
  "common",
  "collections",
  "build",
  "package.json",
  "tsconfig.json",
];

/** Bundles both processes from a copy of the sources that has the mistake; returns the folder. */
export function bundleBroken(name: string, folder: string): string {
  const { file } = BREAKS[name] as Break;
  const tree = join(folder, `broken-${name}`);
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  for (const source of SOURCES) cpSync(join(ROOT, source), join(tree, source), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  writeFileSync(join(tree, file), breakText(name));
  execFileSync(process.execPath, [join(tree, "build", "bundle.ts")], { stdio: "inherit" });
  return join(tree, "dist");
}

/** The text of the file that it breaks, broken. Throws where the file has become another one. */
export function breakText(name: string): string {
  const { file, replace } = BREAKS[name] as Break;
  let text = readFileSync(join(ROOT, file), "utf8");
  for (const [from, to] of replace) {
    if (!text.includes(from)) throw new Error(`${file} has no longer what ${name} breaks: ${from}`);
    text = text.replace(from, to);
  }
  return text;
}
