import type { Mutant } from "./mutate.ts";
import type { TestResult } from "./run-test.ts";
import { findReason, readSurvivors } from "./survivors.ts";

/** A mutant, and the tests that should notice it, each within these limits. */
export type Target = Mutant & {
  file: string;
  tests: readonly string[];
  deadlineMs: number;
  processorSeconds: number;
};
export type Judged = Target & { result: TestResult };

const LEAST_KILLED_PERCENT = 85;

/** Prints what was found; the exit status. */
export function printReport(found: {
  pure: readonly Judged[];
  sample: readonly Judged[];
  count: number;
  files: readonly string[];
  seconds: number;
}): number {
  const { pure, sample, count, files, seconds } = found;
  const survivors = readSurvivors();
  let isRefused = false;
  console.log("killed  timed out  survived   share  file");
  for (const [file, own] of Map.groupBy(pure, (mutant) => mutant.file)) printRow(file, own);
  if (sample.length > 0) printRow("sample of the rest", sample);
  if (sample.length < count)
    console.log(`${count - sample.length} lines of the sample were not tried for lack of time`);

  for (const mutant of [...pure, ...sample].filter(hasSurvived)) {
    const reason = findReason(survivors, mutant);
    if (!reason && pure.includes(mutant)) isRefused = true;
    console.log(`\n${mutant.file}:${mutant.lineNumber} survived${reason ? `: ${reason}` : ""}`);
    console.log(`-  ${mutant.lineText}\n+  ${mutant.becomes}`);
  }
  for (const { file, becomes } of survivors.filter((one) => files.includes(one.file)))
    for (const change of becomes)
      if (!pure.some((one) => hasSurvived(one) && one.file === file && one.becomes === change))
        console.log(`\n${file}: listed as a survivor, but there is none:\n+  ${change}`);

  const share = printRow("all", [...pure, ...sample]);
  console.log(`\n${Math.round(seconds)} s`);
  if (isRefused) console.log("A mutant of the pure code survived that is not listed.");
  if (share < LEAST_KILLED_PERCENT)
    console.log(`Less than ${LEAST_KILLED_PERCENT} % of the mutants were killed.`);
  return isRefused || share < LEAST_KILLED_PERCENT ? 1 : 0;
}

function hasSurvived({ result }: Judged): boolean {
  return result === "passed";
}

/** Prints how many were killed; the share of them, in percent. One that timed out counts as killed. */
function printRow(name: string, judged: readonly Judged[]): number {
  const count = (wanted: TestResult) => judged.filter(({ result }) => result === wanted).length;
  const share = (100 * (judged.length - count("passed"))) / Math.max(1, judged.length);
  const [killed, late, survived] = [count("failed"), count("timed out"), count("passed")];
  const columns = [
    String(killed).padStart(6),
    String(late).padStart(9),
    String(survived).padStart(8),
    `${share.toFixed(1)} %`.padStart(7),
  ];
  console.log(`${columns.join("  ")}  ${name}`);
  return share;
}
