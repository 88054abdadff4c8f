import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { judge, shorten, type Verdict } from "./goals.ts";
import { CAN_ACCOUNT, median } from "./measure.ts";
import type { Options } from "./options.ts";
import type { Servers } from "./servers.ts";
import type { Sample } from "./stage.ts";
import { OURS } from "./targets.ts";

export type Report = {
  madeAt: string;
  commit: string;
  options: Options;
  machine: Record<string, string | number>;
  versions: Record<string, string>;
  verdicts: Verdict[];
  samples: Sample[];
  /** Benchmarks that did not come to their end, and why. */
  failures: string[];
  /** Of our processes, where they were profiled. */
  profiles: string[];
};

const ROOT = join(import.meta.dirname, "..", "..");

/** Puts what was measured together with what it was measured on; no names of machines. */
export function makeReport(parts: {
  options: Options;
  servers: Servers;
  samples: Sample[];
  failures: string[];
  profiles: string[];
}): Report {
  const { servers, samples } = parts;
  return {
    madeAt: new Date().toISOString(),
    commit: readCommit(),
    options: parts.options,
    machine: {
      processor: cpus()[0]?.model ?? "unknown",
      processors: cpus().length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()}`,
      loadAverageAtEnd: loadavg()[0] ?? Number.NaN,
    },
    versions: {
      node: process.version,
      mysql: servers.mysqlVersion,
      pubsub: servers.emulatorName,
    },
    verdicts: judge(samples),
    samples,
    failures: parts.failures,
    profiles: parts.profiles,
  };
}

/** Writes the report as JSON and as Markdown; returns the latter and its file. */
export function writeReport(report: Report): { file: string; markdown: string } {
  const folder = report.options.output;
  mkdirSync(folder, { recursive: true });
  const name = `${report.madeAt.slice(0, 19).replaceAll(":", "-")}-${report.options.size}`;
  const markdown = toMarkdown(report);
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(report, null, 1)}\n`);
  const file = join(folder, `${name}.md`);
  writeFileSync(file, markdown);
  return { file, markdown };
}

export function toMarkdown(report: Report): string {
  const { machine, versions, options, samples } = report;
  const loads = samples.map(({ loadAverage }) => loadAverage);
  const facts = [
    `${machine.processors} × ${machine.processor}, ${machine.memoryGb} GB, ${machine.system}`,
    `Node ${versions.node}, MySQL ${versions.mysql} (a commit is on the disk), ${versions.pubsub}`,
    `commit ${report.commit}; ${options.rounds} rounds, ${options.size}; ${options.streams} streams;` +
      ` sampled traces: ${options.sampling}`,
    `load average ${shorten(Math.min(...loads))} to ${shorten(Math.max(...loads))}`,
    ...(CAN_ACCOUNT ? [] : ["processor time and memory are known on Linux only"]),
  ];
  const benches = Map.groupBy(samples, ({ bench }) => bench);
  return [
    `# Measured ${report.madeAt.slice(0, 16).replace("T", " ")}`,
    facts.map((fact) => `- ${fact}`).join("\n"),
    "Medians of the rounds, with the least and the most. µs are processor time for each record; MB" +
      " the most that a process ever had. Ratios are medians of those of the same round: ours to it.",
    ...(report.verdicts.length > 0 ? ["## Goals", verdictTable(report.verdicts)] : []),
    ...[...benches].flatMap(([bench, own]) => [
      `## ${bench}`,
      ...[...Map.groupBy(own, (sample) => sample.case)].map(([name, these]) =>
        caseTable(name, these),
      ),
    ]),
    ...report.failures.map((failure) => `**Failed:** ${failure}`),
    ...(report.profiles.length > 0 ? ["## Profiles", ...report.profiles] : []),
    "",
  ].join("\n\n");
}

function verdictTable(verdicts: Verdict[]): string {
  const rows = verdicts.map(({ goal, wanted, found, isMet }) => [
    ...[goal, wanted, shorten(found), isMet ? "met" : "**missed**"],
  ]);
  return table(["goal", "wanted", "found", ""], rows);
}

/** One line for each target; the columns are the figures that any of them has. */
function caseTable(name: string, samples: Sample[]): string {
  const columns = [...new Set(samples.flatMap(({ values }) => Object.keys(values)))];
  const byTarget = Map.groupBy(samples, ({ target }) => target);
  const ours = byTarget.get(OURS) ?? [];
  const hasRatio = columns.includes("perSecond") && ours.length > 0 && byTarget.size > 1;
  const rows = [...byTarget].map(([target, own]) => [
    target,
    ...columns.map((column) => spread(own.map(({ values }) => values[column]))),
    ...(hasRatio ? [target === OURS ? "" : ratio(ours, own)] : []),
  ]);
  return table([name, ...columns.map(getTitle), ...(hasRatio ? ["ratio"] : [])], rows);
}

function spread(values: (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined && !Number.isNaN(value)) as number[];
  if (known.length === 0) return "";
  const middle = shorten(median(known));
  if (known.length === 1) return middle;
  return `${middle} (${shorten(Math.min(...known))}–${shorten(Math.max(...known))})`;
}

function ratio(ours: Sample[], others: Sample[]): string {
  const ratios = others.flatMap(({ round, values }) => {
    const own = ours.find((sample) => sample.round === round)?.values.perSecond;
    return own && values.perSecond ? [own / values.perSecond] : [];
  });
  return ratios.length === 0 ? "" : shorten(median(ratios));
}

/** `p50Ms` is read as "p50 ms". */
function getTitle(column: string): string {
  if (column === "perSecond") return "per second";
  return column
    .replace(/Ms$/, " ms")
    .replace(/Micros$/, " µs")
    .replace(/Mb$/, " MB");
}

function table(head: string[], rows: string[][]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function readCommit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      ...{ cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    }).trim();
  } catch {
    return "unknown";
  }
}
