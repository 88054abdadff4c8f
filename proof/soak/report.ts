import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { MEMORY_LIMIT_MB } from "../cluster/check.ts";
import { toTenth } from "../support/statistics.ts";
import type { ProcessFigures } from "./process-samples.ts";
import type { SoakFigures, SoakOptions } from "./run.ts";

/**
 * A process may grow by this in an hour once it is warm. Production's instances have 768 MB, and a
 * process takes 400 MB at most, so this leaves twelve hours.
 */
const MOST_MB_PER_HOUR = 30;
/** MySQL fills its buffers; only the product's processes are judged. */
const JUDGED = /^(api|subscriber)-/;

export type SoakReport = ReturnType<typeof makeReport>;

/** The figures, the machine, and what is wrong. */
export function makeReport(options: SoakOptions, figures: SoakFigures) {
  const { checker, load, capacity, answers, faults, processes } = figures;
  const { accepted, published, outcomes, garbage, missing, doubled, stale } = checker;
  const failures = [...checker.violations];
  if (missing + doubled + stale > 0)
    failures.unshift(`${missing} missing, ${doubled} doubled, ${stale} stale`);
  for (const { name, maxMb, mbPerHour } of processes.filter(({ name }) => JUDGED.test(name))) {
    if (maxMb > MEMORY_LIMIT_MB) failures.push(`${name} took ${Math.round(maxMb)} MB`);
    if (mbPerHour !== null && mbPerHour > MOST_MB_PER_HOUR)
      failures.push(`${name} grows by ${mbPerHour.toFixed(0)} MB an hour`);
  }
  return {
    madeAt: new Date().toISOString(),
    options,
    machine: {
      processors: cpus().length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()}`,
      node: process.version,
      loadAverageAtEnd: loadavg()[0] ?? Number.NaN,
    },
    capacity,
    load,
    accepted,
    published,
    outcomes,
    garbage,
    missing,
    doubled,
    stale,
    answerMs: toPercentiles(answers, 1_000),
    lagMs: toPercentiles(checker.lags, 1),
    faults,
    processes,
    failures,
  };
}

/** Writes the report as JSON; returns the file. */
export async function writeReport(report: SoakReport, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = `${report.madeAt.slice(0, 19).replaceAll(":", "-")}-seed-${report.options.seed}`;
  const file = join(folder, `${name}.json`);
  // The samples of a process stand on one line: there are thousands.
  const replacer = (key: string, value: unknown) =>
    key === "samples" ? JSON.stringify(value) : value;
  await writeFile(file, `${JSON.stringify(report, replacer, 1)}\n`);
  return file;
}

/** The report in lines for people. */
export function describeReport(report: SoakReport): string {
  const { options, machine, capacity, load, answerMs, lagMs } = report;
  const { missing, doubled, stale, failures } = report;
  return [
    `${options.minutes} min, seed ${options.seed}, ${options.delivery}, ${machine.processors} processors, Node ${machine.node}`,
    `capacity: ${show(capacity.requestsPerSecond)} requests, ${show(capacity.writesPerSecond)} writes a second`,
    `load: ${show(load.requestsPerSecond)} requests a second for ${show(load.seconds)} s, ${report.faults.length} faults`,
    `accepted ${show(report.accepted)}, published ${show(report.published)}, and ${show(report.garbage)} messages that are not writes`,
    `settled: ${JSON.stringify(report.outcomes)}`,
    `missing ${missing}, doubled ${doubled}, stale ${stale}`,
    `answers by status: ${JSON.stringify(load.answers)}`,
    `answer: p50 ${answerMs.p50} ms, p99 ${answerMs.p99} ms, longest ${answerMs.max} ms`,
    `lag: p50 ${lagMs.p50} ms, p99 ${lagMs.p99} ms, longest ${lagMs.max} ms`,
    ...report.processes.map(describeProcess),
    failures.length === 0 ? "every promise held" : `FAILED in ${failures.length} ways:`,
    ...failures.slice(0, 20),
  ].join("\n");
}

function describeProcess(process: ProcessFigures): string {
  const { name, lives, minutes, mbPerHour, maxMb, descriptors } = process;
  const { first, last, max } = descriptors;
  const growth =
    mbPerHour === null
      ? "growth: too short to tell"
      : `${mbPerHour.toFixed(1)} MB an hour over ${minutes.toFixed(0)} min`;
  return `${name}: ${lives} started, at most ${maxMb.toFixed(0)} MB, ${growth}, descriptors ${first} to ${last}, at most ${max}`;
}

function toPercentiles(histogram: SoakFigures["answers"], unitsEach: number) {
  const toMs = (value: number) => toTenth(value / unitsEach);
  return {
    p50: toMs(histogram.percentile(50)),
    p99: toMs(histogram.percentile(99)),
    max: toMs(histogram.max),
  };
}

function show(value: number): string {
  return Math.round(value).toLocaleString("en");
}
