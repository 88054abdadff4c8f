import type { Part } from "./simulate-fleet.ts";
import { type Second, type Simulation, simulate } from "./simulate-model.ts";
import { buildSetup, type Changes, readCurve } from "./simulate-setup.ts";

const LINES = 24;
/** More instances than this are shown as a number. */
const MAX_DRAWN_INSTANCES = 12;
const BARS = " ▁▂▃▄▅▆▇█";

/** The totals of a simulation. */
export function summarise({ seconds, instances }: Simulation) {
  const sum = (part: "offered" | "refused" | "accepted" | "settled") =>
    seconds.reduce((total, second) => total + second[part], 0);
  const last = seconds.at(-1);
  return {
    offered: sum("offered"),
    refused: sum("refused"),
    accepted: sum("accepted"),
    settled: sum("settled"),
    pending: last?.pending ?? 0,
    backlog: last?.backlog ?? 0,
    maxBacklog: Math.max(0, ...chunk(seconds, 1_000).map((part) => findMax(part, "backlog"))),
    maxLagSeconds: Math.max(0, ...chunk(seconds, 1_000).map((part) => findMax(part, "lagSeconds"))),
    instances: instances.length,
  };
}

/** A table of about 24 lines, each for an equal number of seconds, and the totals. */
export function describeSimulation(simulation: Simulation): string {
  const { seconds } = simulation;
  const total = summarise(simulation);
  const rows = chunk(seconds, Math.ceil(seconds.length / LINES)).map((part) => {
    const last = part.at(-1) as Second;
    const backlog = findMax(part, "backlog");
    return [
      toTime(last.at + 1),
      toCount(mean(part, "offered")),
      toCount(part.reduce((sum, { refused }) => sum + refused, 0)),
      drawInstances(last.api),
      drawInstances(last.subscriber),
      `${Math.round(100 * last.mysqlBusy)} %`,
      toCount(backlog),
      toBar(backlog, total.maxBacklog),
      toLag(findMax(part, "lagSeconds")),
      part.findLast(({ bottleneck }) => bottleneck)?.bottleneck ?? "",
    ];
  });
  const head = ["time", "writes/s", "refused", "API", "subscriber", "MySQL", "backlog"];
  return [
    align([[...head, "", "lag", "bottleneck"], ...rows]),
    "",
    "● a ready instance, ○ a starting one; backlog and lag are the maximum of the line.",
    `offered ${toCount(total.offered)} = refused ${toCount(total.refused)} + pending ` +
      `${toCount(total.pending)} + backlog ${toCount(total.backlog)} + settled ` +
      `${toCount(total.settled)}; max. backlog ${toCount(total.maxBacklog)}, max. lag ` +
      `${toLag(total.maxLagSeconds)}; ${total.instances} instances in total.`,
  ].join("\n");
}

/** The steps of docs/scale.md: as deployed, then with changes that remove the bottleneck. */
const STEPS: { rate: number; changes: Changes }[] = [
  { rate: 1, changes: {} },
  { rate: 1_000, changes: {} },
  { rate: 10_000, changes: {} },
  { rate: 100_000, changes: {} },
  { rate: 100_000, changes: { apiInstances: 60, workers: 12, tier: "db-custom-8-30720" } },
  {
    rate: 1_000_000,
    changes: {
      bulk: true,
      apiInstances: 300,
      workers: 120,
      tier: "db-custom-16-61440",
      databases: 4,
    },
  },
  { rate: 10_000, changes: { shape: "seed" } },
];

/** The table of docs/scale.md, in Markdown. */
export function describeSteps(): string {
  const rows = STEPS.map(({ rate, changes }) => {
    const simulation = simulate(buildSetup(changes), readCurve(riseTo(rate)));
    const total = summarise(simulation);
    const last = simulation.seconds.at(-1) as Second;
    const share = (part: Part) => `${part.serving} at ${Math.round(100 * part.busy)} %`;
    return [
      rate.toLocaleString("en"),
      formatChanges(changes),
      share(last.api),
      share(last.subscriber),
      `${Math.round(100 * last.mysqlBusy)} %`,
      `${Math.round((100 * total.refused) / total.offered)} %`,
      toCount(total.backlog),
      toLag(total.maxLagSeconds),
      last.bottleneck ?? "none",
    ];
  });
  const head = [
    "writes/s",
    "options of `npm run proof -- simulate`",
    "API",
    "subscriber",
    "MySQL",
    "refused",
    "backlog",
    "max. lag",
    "bottleneck",
  ];
  const lines = [
    head,
    head.map((_, index) => (index === 1 || index === 8 ? "---" : "---:")),
    ...rows,
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A curve that rises to the rate within five minutes and stays there for ten. */
function riseTo(rate: number): string {
  return `0:0,5m:${rate},15m:${rate}`;
}

function formatChanges(changes: Changes): string {
  const flags = Object.entries(changes).map(([name, value]) => {
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? option : `${option} ${value}`;
  });
  return flags.length > 0 ? `\`${flags.join(" ")}\`` : "as deployed";
}

function drawInstances({ serving, starting }: Part): string {
  if (serving + starting <= MAX_DRAWN_INSTANCES) return "●".repeat(serving) + "○".repeat(starting);
  return starting > 0 ? `${serving}● ${starting}○` : `${serving}●`;
}

function toBar(value: number, largest: number): string {
  const index = largest > 0 ? Math.ceil((value / largest) * (BARS.length - 1)) : 0;
  return BARS[index] ?? "";
}

function toLag(seconds: number): string {
  return seconds === 0 ? "< 1 s" : toTime(seconds);
}

function toTime(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${(seconds / 60).toFixed(1)} m` : `${(seconds / 3_600).toFixed(1)} h`;
}

function toCount(count: number): string {
  return Math.round(count).toLocaleString("en");
}

function align(rows: string[][]): string {
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function mean(part: readonly Second[], name: "offered"): number {
  return part.reduce((sum, second) => sum + second[name], 0) / part.length;
}

function findMax(part: readonly Second[], name: "backlog" | "lagSeconds"): number {
  return Math.max(...part.map((second) => second[name]));
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}
