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
  const { answers, violations, ...rest } = figures;
  const failures = [...violations];
  for (const { name, maxMb, mbPerHour } of figures.processes) {
    if (!JUDGED.test(name)) continue;
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
    answerMs: {
      p50: toTenth(answers.percentile(50) / 1_000),
      p99: toTenth(answers.percentile(99) / 1_000),
      longest: toTenth(answers.max / 1_000),
    },
    ...rest,
    failures,
  };
}

/** Writes the report as JSON; returns the file. */
export async function writeReport(report: SoakReport, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const name = `${report.madeAt.slice(0, 19).replaceAll(":", "-")}-seed-${report.options.seed}`;
  const file = join(folder, `${name}.json`);
  // The samples of a process are on one line: there are thousands.
  const replacer = (key: string, value: unknown) =>
    key === "samples" ? JSON.stringify(value) : value;
  await writeFile(file, `${JSON.stringify(report, replacer, 1)}\n`);
  return file;
}

/** The report in lines for people. */
export function describeReport(report: SoakReport): string {
  const { options, machine, answerMs, faults, accepted, published, failures } = report;
  return [
    `${options.minutes} min, seed ${options.seed}, ${options.delivery}, ${machine.processors} processors, Node ${machine.node}`,
    `load: ${Math.round(report.requestsPerSecond)} requests a second, ${faults.length} faults`,
    `${accepted} writes accepted, ${published} published, settled as ${JSON.stringify(report.outcomes)}`,
    `answers by status: ${JSON.stringify(report.statuses)}`,
    `answers 202: p50 ${answerMs.p50} ms, p99 ${answerMs.p99} ms, longest ${answerMs.longest} ms`,
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
