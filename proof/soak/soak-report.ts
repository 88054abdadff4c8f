import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { MEMORY_LIMIT_MB } from "../chaos/check.ts";
import type { ProcessFigures } from "./processes.ts";
import type { SoakFigures, SoakOptions } from "./soak-run.ts";

/**
 * What a process of ours may grow by in an hour, once it is warm. Production's instances have
 * 768 MB, and 400 are the most that is seen here: with this they would last for twelve hours.
 */
export const MOST_MB_PER_HOUR = 30;
/** Of those that are judged: MySQL fills its buffers, and is not ours to judge. */
const OURS = /^(api|subscriber)-/;

export type SoakReport = ReturnType<typeof makeReport>;

/** The figures, what they were taken on, and what is wrong. */
export function makeReport(options: SoakOptions, figures: SoakFigures) {
  const { fold, load, calibration, answers, faults, processes } = figures;
  const { accepted, published, outcomes, garbage, missing, doubled, stale, violations } = fold;
  const failures = [
    ...(missing + doubled + stale > 0
      ? [`${missing} missing, ${doubled} doubled, ${stale} stale`]
      : []),
    ...violations,
    ...processes.filter(isLarge).map(({ name, maxMb }) => `${name} took ${Math.round(maxMb)} MB`),
    ...processes.filter(grows).map(({ name, mbPerHour }) => {
      return `${name} grows by ${mbPerHour?.toFixed(0)} MB an hour, more than ${MOST_MB_PER_HOUR}`;
    }),
  ];
  const { seed, minutes, faultEveryMs, calibrateMs, delivery } = options;
  return {
    madeAt: new Date().toISOString(),
    options: { seed, minutes, faultEveryMs, calibrateMs, delivery },
    machine: {
      processors: cpus().length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()}`,
      node: process.version,
      loadAverageAtEnd: loadavg()[0] ?? Number.NaN,
    },
    ...{ calibration, load, accepted, published, outcomes, garbage, missing, doubled, stale },
    answerMs: getPercentiles(answers, 1_000),
    lagMs: getPercentiles(fold.lags, 1),
    ...{ faults, processes, failures },
  };
}

/** Writes the report as JSON and as Markdown; returns the latter. */
export async function writeReport(report: SoakReport, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = `${report.madeAt.slice(0, 19).replaceAll(":", "-")}-seed-${report.options.seed}`;
  const markdown = toMarkdown(report);
  await writeFile(join(folder, `${name}.json`), `${toJson(report)}\n`);
  await writeFile(join(folder, `${name}.md`), markdown);
  return `${markdown}\nin ${join(folder, name)}.md, and .json`;
}

/** Looks on one line each process: there are thousands. */
function toJson(report: SoakReport): string {
  return JSON.stringify(
    report,
    (key, value) => (key === "looks" ? JSON.stringify(value) : value),
    1,
  );
}

export function toMarkdown(report: SoakReport): string {
  const { options, machine, calibration, load, outcomes, answerMs, lagMs, processes } = report;
  const settled = Object.entries(outcomes).map(([outcome, count]) => `${show(count)} ${outcome}`);
  const answered = Object.entries(load.answers).map(([status, times]) => `${status}: ${times}`);
  const rows = [
    [
      "fleet takes",
      `${show(calibration.requestsPerSecond)} requests, ${show(calibration.writesPerSecond)} writes a second`,
    ],
    [
      "was given",
      `${show(load.requestsPerSecond)} requests a second for ${show(load.seconds)} s, ${report.faults.length} faults`,
    ],
    [
      "accepted",
      `${show(report.accepted)}; published ${show(report.published)}, and ${show(report.garbage)} that are no write`,
    ],
    ["settled", settled.join(", ")],
    ["**missing, doubled, stale**", `**${report.missing}, ${report.doubled}, ${report.stale}**`],
    ["answers by status", answered.join(", ")],
    ["answer", `p50 ${answerMs.p50} ms, p99 ${answerMs.p99} ms, longest ${answerMs.max} ms`],
    ["lag", `p50 ${lagMs.p50} ms, p99 ${lagMs.p99} ms, longest ${lagMs.max} ms`],
  ];
  return [
    `Soak of ${options.minutes} min, seed ${options.seed}, ${options.delivery}, ${report.madeAt}.`,
    `${machine.processors} processors, ${machine.memoryGb} GB, ${machine.system}, Node ${machine.node}.`,
    "",
    "| | |",
    "|---|---|",
    ...rows.map(([what, value]) => `| ${what} | ${value} |`),
    "",
    "| process | lives | judged | MB an hour | most MB | descriptors first, last, most |",
    "|---|---|---|---|---|---|",
    ...processes.map(toRow),
    "",
    ...(report.failures.length === 0
      ? ["Every promise held."]
      : [`FAILED in ${report.failures.length} ways:`, ...report.failures.slice(0, 20)]),
    "",
  ].join("\n");
}

function toRow({ name, lives, minutes, mbPerHour, maxMb, descriptors }: ProcessFigures): string {
  const { first, last, max } = descriptors;
  const slope = mbPerHour === null ? "too short to tell" : mbPerHour.toFixed(1);
  return `| ${name} | ${lives} | ${minutes.toFixed(0)} min | ${slope} | ${maxMb.toFixed(0)} | ${first}, ${last}, ${max} |`;
}

function grows({ name, mbPerHour }: ProcessFigures): boolean {
  return OURS.test(name) && mbPerHour !== null && mbPerHour > MOST_MB_PER_HOUR;
}

function isLarge({ name, maxMb }: ProcessFigures): boolean {
  return OURS.test(name) && maxMb > MEMORY_LIMIT_MB;
}

function getPercentiles(histogram: SoakFigures["answers"], unitsEach: number) {
  const shown = (value: number) => Math.round((value / unitsEach) * 10) / 10;
  const at = (percent: number) => shown(histogram.percentile(percent));
  return { p50: at(50), p99: at(99), max: shown(histogram.max) };
}

function show(value: number): string {
  return Math.round(value).toLocaleString("en");
}
