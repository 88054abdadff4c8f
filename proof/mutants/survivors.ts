import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Mutants that no test can notice, or that none should, with the reason. */
export type Survivors = { file: string; line: string; becomes: string[]; reason: string }[];

export function readSurvivors(): Survivors {
  return JSON.parse(readFileSync(join(import.meta.dirname, "survivors.json"), "utf8"));
}

/** Where the mutant is among the accepted survivors, the reason. */
export function findReason(
  survivors: Survivors,
  { file, lineText, becomes }: { file: string; lineText: string; becomes: string },
): string | undefined {
  return survivors.find(
    (one) => one.file === file && one.line === lineText && one.becomes.includes(becomes),
  )?.reason;
}
