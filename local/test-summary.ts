import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import type { run } from "node:test";

type Events = ReturnType<typeof run>;
type Counts = { passed: number; skipped: number; todo: number };
type Coverage = {
  lines: number;
  branches: number;
  functions: number;
  files: { path: string; lines: number }[];
};

/** Failures and files that the summary lists. */
const MAX_FAILURES = 50;
const MAX_FILES = 5;

/** What a run of the tests has found so far. */
export type Summary = {
  counts: Counts | undefined;
  seconds: number;
  /** `FILE: TITLE` of each test that failed. */
  failures: string[];
  coverage: Coverage | undefined;
};

/** Collects what the events of a run report. */
export function collectSummary(events: Events, root: string): Summary {
  const summary: Summary = { counts: undefined, seconds: 0, failures: [], coverage: undefined };
  events.on("test:fail", ({ name, file, details, todo }) => {
    if (todo !== undefined || details.type === "suite") return;
    summary.failures.push(`${relative(root, file ?? "")}: ${name}`);
  });
  // There is one for each file, and one for all, which names no file.
  events.on("test:summary", ({ counts, duration_ms, file }) => {
    if (file !== undefined) return;
    summary.counts = counts;
    summary.seconds = duration_ms / 1_000;
  });
  events.on("test:coverage", ({ summary: { totals, files } }) => {
    summary.coverage = {
      lines: totals.coveredLinePercent,
      branches: totals.coveredBranchPercent,
      functions: totals.coveredFunctionPercent,
      files: files.map((file) => ({
        path: relative(root, file.path),
        lines: file.coveredLinePercent,
      })),
    };
  });
  return summary;
}

/** Appends the summary to that of the job, which GitHub shows on the pull request's checks. */
export function writeJobSummary(summary: Summary, file = process.env.GITHUB_STEP_SUMMARY): void {
  if (file) appendFileSync(file, formatSummary(summary));
}

/** The summary as Markdown. */
export function formatSummary({ counts, seconds, failures, coverage }: Summary): string {
  if (!counts) return "### Tests\n\nThe tests did not run to the end.\n";
  const { passed, skipped, todo } = counts;
  const lines = [
    "### Tests",
    "",
    "| passed | failed | skipped | known faults | seconds |",
    "|---:|---:|---:|---:|---:|",
    `| ${passed} | ${failures.length} | ${skipped} | ${todo} | ${seconds.toFixed(0)} |`,
    "",
    ...failures.slice(0, MAX_FAILURES).map((failure) => `- ${failure}`),
  ];
  if (coverage) {
    const least = coverage.files
      .toSorted((one, other) => one.lines - other.lines)
      .slice(0, MAX_FILES)
      .map(({ path, lines: percent }) => `\`${path}\` ${percent.toFixed(1)} %`);
    lines.push(
      "",
      "| lines covered | branches | functions |",
      "|---:|---:|---:|",
      `| ${coverage.lines.toFixed(2)} % | ${coverage.branches.toFixed(2)} % | ${coverage.functions.toFixed(2)} % |`,
      "",
      `Least covered: ${least.join(", ")}`,
    );
  }
  return `${lines.join("\n")}\n\n`;
}
