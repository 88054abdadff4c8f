import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { CAN_ACCOUNT } from "../support/process-usage.ts";
import { median } from "../support/statistics.ts";
import type { Sample } from "./environment.ts";
import { makeFigures } from "./figures.ts";
import { judge, shorten, type Verdict } from "./goals.ts";
import type { Options } from "./options.ts";
import type { Servers } from "./servers.ts";
import { CONSTANCIA } from "./targets.ts";

export type Report = {
  madeAt: string;
  commit: string;
  options: Options;
  machine: Record<string, string | number>;
  versions: Record<string, string>;
  verdicts: Verdict[];
  samples: Sample[];
  /** Benchmarks that failed, and why. */
  failures: string[];
  /** Profiles of Constancia's processes, as Markdown. */
  profiles: string[];
};

const ROOT = join(import.meta.dirname, "..", "..");

/** Puts what was measured together with the machine; never with the machine's name. */
export function makeReport(parts: {
  options: Options;
  servers: Servers;
  samples: Sample[];
  failures: string[];
  profiles: string[];
}): Report {
  const { servers, ...rest } = parts;
  const pubsubs = servers.pubsubs.map(({ name, version }) => `${name} ${version}`.trim());
  return {
    madeAt: new Date().toISOString(),
    commit: readCommit(),
    machine: {
      processor: cpus()[0]?.model ?? "unknown",
      processors: cpus().length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()}`,
      loadAverageAtEnd: loadavg()[0] ?? Number.NaN,
    },
    versions: { node: process.version, mysql: servers.mysqlVersion, pubsub: pubsubs.join(", ") },
    verdicts: judge(parts.samples),
    ...rest,
  };
}

/** Writes the report as JSON and Markdown, and its figures in the form of figures.json. */
export function writeReport(report: Report): { file: string; markdown: string } {
  const folder = report.options.output;
  mkdirSync(folder, { recursive: true });
  const name = `${report.madeAt.slice(0, 19).replaceAll(":", "-")}-${report.options.size}`;
  const markdown = toMarkdown(report);
  const write = (ending: string, text: string) => {
    const file = join(folder, `${name}${ending}`);
    writeFileSync(file, text);
    return file;
  };
  write(".json", `${JSON.stringify(report, null, 1)}\n`);
  write(".figures.json", `${JSON.stringify(makeFigures(report), null, 2)}\n`);
  return { file: write(".md", markdown), markdown };
}

function toMarkdown(report: Report): string {
  const { machine, versions, options, samples } = report;
  const loads = samples.map(({ loadAverage }) => loadAverage);
  const facts = [
    `${machine.processors} × ${machine.processor}, ${machine.memoryGb} GB, ${machine.system}`,
    `Node ${versions.node}, MySQL ${versions.mysql} (fully durable), ${versions.pubsub}`,
    `commit ${report.commit}; ${options.rounds} rounds, ${options.size}; sampled traces: ${options.sampling}`,
    `load average ${shorten(Math.min(...loads))} to ${shorten(Math.max(...loads))}`,
  ];
  if (!CAN_ACCOUNT) facts.push("processor time and memory are measured on Linux only");
  const sections = [
    `# Measured ${report.madeAt.slice(0, 16).replace("T", " ")}`,
    facts.map((fact) => `- ${fact}`).join("\n"),
    "Medians of the rounds, with the least and the most. µs are processor time for each record; MB" +
      " the peak memory of a process. Ratios are medians of those of the same round.",
  ];
  if (report.verdicts.length > 0) sections.push("## Goals", formatVerdicts(report.verdicts));
  for (const [bench, own] of Map.groupBy(samples, (sample) => sample.bench)) {
    sections.push(`## ${bench}`);
    for (const [name, some] of Map.groupBy(own, describeCase))
      sections.push(formatCase(name, some));
  }
  sections.push(...report.failures.map((failure) => `**Failed:** ${failure}`));
  if (report.profiles.length > 0) sections.push("## Profiles", ...report.profiles);
  return `${sections.join("\n\n")}\n`;
}

function describeCase({ case: name, pubsub, cores }: Sample): string {
  return `${name}, ${cores} cores, ${pubsub}`;
}

function formatVerdicts(verdicts: Verdict[]): string {
  const rows = verdicts.map(({ goal, bound, found, isMet }) => [
    goal,
    bound,
    shorten(found),
    isMet ? "met" : "**missed**",
  ]);
  return formatTable(["goal", "bound", "found", ""], rows);
}

/** One line for each target; the columns are the figures that any of them has. */
function formatCase(name: string, samples: Sample[]): string {
  const columns = [...new Set(samples.flatMap(({ values }) => Object.keys(values)))];
  const byTarget = Map.groupBy(samples, ({ target }) => target);
  const own = byTarget.get(CONSTANCIA) ?? [];
  const rows = [...byTarget].map(([target, some]) => [
    target,
    ...columns.map((column) => formatSpread(some.map(({ values }) => values[column]))),
    target === CONSTANCIA ? "" : formatRatio(own, some),
  ]);
  return formatTable([name, ...columns.map(formatTitle), "rate to it"], rows);
}

function formatSpread(values: (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined && !Number.isNaN(value)) as number[];
  if (known.length === 0) return "";
  const middle = shorten(median(known));
  if (known.length === 1) return middle;
  return `${middle} (${shorten(Math.min(...known))}–${shorten(Math.max(...known))})`;
}

function formatRatio(own: Sample[], others: Sample[]): string {
  const ratios = others.flatMap(({ round, values }) => {
    const rate = own.find((sample) => sample.round === round)?.values.perSecond;
    return rate && values.perSecond ? [rate / values.perSecond] : [];
  });
  return ratios.length === 0 ? "" : shorten(median(ratios));
}

/** The title of `p50Ms` is "p50 ms". */
function formatTitle(column: string): string {
  if (column === "perSecond") return "per second";
  return column
    .replace(/Ms$/, " ms")
    .replace(/Micros$/, " µs")
    .replace(/Mb$/, " MB");
}

function formatTable(head: string[], rows: string[][]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function readCommit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}
