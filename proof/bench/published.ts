import { median } from "../support/statistics.ts";
import { type Bar, describePanels, type Panel } from "./bar-plot.ts";
import { shorten, type Verdict } from "./goals.ts";
import type { Report } from "./report.ts";
import { EMULATOR } from "./servers.ts";
import { CONSTANCIA, SEED } from "./targets.ts";

/** What the documents show of a report: nothing that names the machine or its folders. */
export type PublishedReport = Omit<Report, "options" | "machine" | "failures" | "profiles"> & {
  options: Pick<Report["options"], "size" | "rounds">;
  machine: { processor?: unknown; processors?: unknown; memoryGb?: unknown };
};

type Place = { title: string; unit: string; bench: string; case: string; value: string };
/** The plots of `docs/images/`: the panels of each. */
const PLOTS = {
  rates: [
    { title: "POST, 64 clients", unit: "a second", ...at("post", "64 clients", "perSecond") },
    { title: "Backlog settled", unit: "rows a second", ...at("drain", "backlog", "perSecond") },
    { title: "GET by id, 64 clients", unit: "a second", ...at("get", "64 clients", "perSecond") },
  ],
  latency: [
    { title: "POST, 64 clients: p50", unit: "ms", ...at("post", "64 clients", "p50Ms") },
    { title: "POST, 64 clients: p99", unit: "ms", ...at("post", "64 clients", "p99Ms") },
    { title: "First 202 after the start", unit: "ms", ...at("start", "first 202", "first202Ms") },
  ],
  resources: [
    { title: "API", unit: "CPU µs a POST", ...at("post", "64 clients", "apiMicros") },
    { title: "Subscriber", unit: "CPU µs a row", ...at("drain", "backlog", "subscriberMicros") },
    { title: "MySQL", unit: "CPU µs a row", ...at("drain", "backlog", "mysqlMicros") },
  ],
} satisfies Record<string, Place[]>;
export type PlotName = keyof typeof PLOTS;
export const PLOT_NAMES = Object.keys(PLOTS) as PlotName[];
export const THEMES = ["light", "dark"] as const;

const LABELS: Record<string, string> = {
  [CONSTANCIA]: "Constancia",
  [SEED]: "Express, by hand",
};

/** A report as it is committed: what the documents show of it, to four digits. */
export function publish(report: Report): PublishedReport {
  const { madeAt, commit, versions, verdicts } = report;
  const { size, rounds } = report.options;
  const { processor, processors, memoryGb } = report.machine;
  const machine = { processor, processors, memoryGb };
  const places = Object.values(PLOTS).flat();
  const samples = report.samples.filter(
    (sample) =>
      sample.target in LABELS &&
      isShown(sample) &&
      places.some((place) => place.bench === sample.bench && place.case === sample.case),
  );
  const toFourDigits = (_: string, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(4)) : value;
  const published = { madeAt, commit, options: { size, rounds }, machine, versions };
  return { ...published, ...JSON.parse(JSON.stringify({ verdicts, samples }, toFourDigits)) };
}

/** The panels of a plot; those of which nothing was measured are left out. */
export function buildPanels({ samples }: PublishedReport, name: PlotName): Panel[] {
  return PLOTS[name]
    .map((place) => ({ ...place, bars: buildBars(samples, place) }))
    .filter(({ bars }) => bars.length > 0);
}

/** The part of the README between its markers: the plot of the rates, and a sentence. */
export function describeRates(report: PublishedReport): string {
  const [posts, rows, gets] = PLOTS.rates.map((place) => formatRatio(report.samples, place));
  const { options, machine } = report;
  const sentence =
    `Compared with the same API by hand: ${posts} times the POSTs a second, ${rows} times the rows ` +
    `of a backlog, ${gets} times the GETs by id (medians of ${options.rounds} rounds, ` +
    `${toDate(report)}, ${machine.processors} ${machine.processor} cores that everything shares).`;
  return `${toPicture(report, "rates", "docs/images")}\n\n${sentence}`;
}

/** The part of docs/proof.md between its markers: the plots and the goals. */
export function describeGoals(report: PublishedReport): string {
  const pictures = PLOT_NAMES.filter((name) => buildPanels(report, name).length > 0).map((name) =>
    toPicture(report, name, "images"),
  );
  return [describeConditions(report), ...pictures, describeVerdicts(report.verdicts)].join("\n\n");
}

/** The plots show quiet cores, and POSTs on the local Pub/Sub. */
function isShown({ cores, pubsub }: Report["samples"][number]): boolean {
  return cores === "quiet" && pubsub !== EMULATOR;
}

function at(bench: string, what: string, value: string) {
  return { bench, case: what, value };
}

function buildBars(samples: Report["samples"], place: Place): Bar[] {
  const own = samples.filter(
    (sample) => sample.bench === place.bench && sample.case === place.case,
  );
  return Object.entries(LABELS).flatMap(([target, label]) => {
    const values = own
      .filter((sample) => sample.target === target)
      .flatMap((sample) => sample.values[place.value] ?? []);
    if (values.length === 0) return [];
    const range = { min: Math.min(...values), max: Math.max(...values) };
    return [{ label, median: median(values), ...range, isOurs: target === CONSTANCIA }];
  });
}

/** Constancia's to the seed shape's: the median of the ratios of each round. */
function formatRatio(samples: Report["samples"], place: Place): string {
  const listValues = (target: string) =>
    new Map(
      samples
        .filter((sample) => sample.bench === place.bench && sample.case === place.case)
        .filter((sample) => sample.target === target)
        .map(({ round, values }) => [round, values[place.value] ?? Number.NaN]),
    );
  const others = listValues(SEED);
  const ratios = [...listValues(CONSTANCIA)].map(
    ([round, own]) => own / (others.get(round) ?? Number.NaN),
  );
  return median(ratios).toFixed(1);
}

/** A plot in the light and the dark, with its figures in words. */
function toPicture(report: PublishedReport, name: PlotName, folder: string): string {
  return [
    "<picture>",
    `  <source media="(prefers-color-scheme: dark)" srcset="${folder}/bench-${name}-dark.svg">`,
    `  <img src="${folder}/bench-${name}-light.svg" width="830"`,
    `    alt="${describePanels(buildPanels(report, name))}">`,
    "</picture>",
  ].join("\n");
}

function describeConditions(report: PublishedReport): string {
  const { commit, options, machine, versions } = report;
  const loads = report.samples.map(({ loadAverage }) => loadAverage);
  const size = options.size === "full" ? "" : ` -- --${options.size}`;
  return [
    `${toDate(report)}, \`npm run bench${size}\` at commit ${commit}: medians of ${options.rounds} rounds; the`,
    "line on each bar reaches from the lowest round to the highest. Clients, processes, MySQL and",
    `Pub/Sub shared ${machine.processors} ${machine.processor} cores and ${machine.memoryGb} GB; load average`,
    `${Math.min(...loads)} to ${Math.max(...loads)}; Node ${versions.node}, MySQL ${versions.mysql}, ${versions.pubsub}.`,
  ].join("\n");
}

function describeVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(
    ({ goal, bound, found, isMet }) =>
      `| ${goal} | ${bound} | ${shorten(found)} | ${isMet ? "met" : "**missed**"} |`,
  );
  return ["| goal | bound | found | |", "|---|---|---:|---|", ...rows].join("\n");
}

function toDate({ madeAt }: PublishedReport): string {
  return madeAt.slice(0, 10);
}
