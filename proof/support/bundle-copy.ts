import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");
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

/** A change of one file: what is replaced, and by what. Every `find` must be in the file. */
export type Change = { file: string; edits: { find: RegExp; replace: string }[] };

/** Bundles both processes from a copy of the sources in `tree`, with the changes; returns the folder. */
export function bundleCopy(tree: string, changes: readonly Change[]): string {
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  for (const source of SOURCES) cpSync(join(ROOT, source), join(tree, source), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  for (const change of changes) writeFileSync(join(tree, change.file), changeText(change, tree));
  execFileSync(process.execPath, [join(tree, "deploy", "bundle.ts")], { stdio: "inherit" });
  return join(tree, "dist");
}

/** The text of a file of `tree` with the change. Throws where it no longer has what is replaced. */
export function changeText({ file, edits }: Change, tree = ROOT): string {
  let text = readFileSync(join(tree, file), "utf8");
  for (const { find, replace } of edits) {
    if (text.search(find) < 0) throw new Error(`${file} no longer has what is replaced: ${find}`);
    text = text.replace(find, replace);
  }
  return text;
}
