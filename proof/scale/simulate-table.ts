import { readCurve } from "./simulate-curve.ts";
import { type Part, type Second, type Simulation, simulate } from "./simulate-model.ts";
import { buildSetup, type Knobs } from "./simulate-setup.ts";

const LINES = 24;
/** So many instances are drawn one by one; more are counted. */
const DRAWN_INSTANCES = 12;
const BARS = " ▁▂▃▄▅▆▇█";

/** What became of all that was offered. */
export function summarise({ seconds, instances }: Simulation) {
  const sum = (part: "offered" | "refused" | "accepted" | "settled") =>
    seconds.reduce((total, second) => total + second[part], 0);
  const last = seconds.at(-1);
  return {
    ...{ offered: sum("offered"), refused: sum("refused"), accepted: sum("accepted") },
    settled: sum("settled"),
    pending: last?.pending ?? 0,
    backlog: last?.backlog ?? 0,
    mostBacklog: Math.max(0, ...chunk(seconds, 1_000).map((part) => most(part, "backlog"))),
    mostLagSeconds: Math.max(0, ...chunk(seconds, 1_000).map((part) => most(part, "lagSeconds"))),
    instances: instances.length,
  };
}

/** About two dozen lines, each of which stands for the seconds up to the next. */
export function describeSimulation(simulation: Simulation): string {
  const { seconds } = simulation;
  const total = summarise(simulation);
  const rows = chunk(seconds, Math.ceil(seconds.length / LINES)).map((part) => {
    const last = part.at(-1) as Second;
    const backlog = most(part, "backlog");
    return [
      toTime(last.at + 1),
      toCount(mean(part, "offered")),
      toCount(part.reduce((sum, { refused }) => sum + refused, 0)),
      drawInstances(last.api),
      drawInstances(last.subscriber),
      `${Math.round(100 * last.mysqlBusy)} %`,
      toCount(backlog),
      toBar(backlog, total.mostBacklog),
      toLag(most(part, "lagSeconds")),
      part.findLast(({ bottleneck }) => bottleneck)?.bottleneck ?? "",
    ];
  });
  const head = ["time", "writes/s", "refused", "API", "subscriber", "MySQL", "backlog"];
  return [
    align([[...head, "", "lag", "held up by"], ...rows]),
    "",
    "● an instance that serves, ○ one that starts; backlog and lag: the most of the line's time.",
    `offered ${toCount(total.offered)} = refused ${toCount(total.refused)} + pending ` +
      `${toCount(total.pending)} + backlog ${toCount(total.backlog)} + settled ` +
      `${toCount(total.settled)}; most backlog ${toCount(total.mostBacklog)}, most lag ` +
      `${toLag(total.mostLagSeconds)}; ${total.instances} instances in all.`,
  ].join("\n");
}

/** The steps of docs/scale.md: first as deployed, then with what takes the bottleneck away. */
const STEPS: { rate: number; knobs: Knobs }[] = [
  { rate: 1, knobs: {} },
  { rate: 1_000, knobs: {} },
  { rate: 10_000, knobs: {} },
  { rate: 100_000, knobs: {} },
  { rate: 100_000, knobs: { apiInstances: 60, workers: 12, tier: "db-custom-8-30720" } },
  {
    rate: 1_000_000,
    knobs: {
      ...{ bulk: true, apiInstances: 300, workers: 120 },
      ...{ tier: "db-custom-16-61440", databases: 4 },
    },
  },
  { rate: 10_000, knobs: { shape: "seed" } },
];

/** The table of docs/scale.md, in Markdown. */
export function describeSteps(): string {
  const rows = STEPS.map(({ rate, knobs }) => {
    const simulation = simulate(buildSetup(knobs), readCurve(riseTo(rate)));
    const total = summarise(simulation);
    const last = simulation.seconds.at(-1) as Second;
    const share = (part: Part) => `${part.serving} at ${Math.round(100 * part.busy)} %`;
    return [
      ...[rate.toLocaleString("en"), describeKnobs(knobs), share(last.api), share(last.subscriber)],
      `${Math.round(100 * last.mysqlBusy)} %`,
      `${Math.round((100 * total.refused) / total.offered)} %`,
      ...[toCount(total.backlog), toLag(total.mostLagSeconds), last.bottleneck ?? "nothing"],
    ];
  });
  const head = [
    ...[
      "writes/s",
      "options of `npm run proof -- simulate`",
      "API",
      "subscriber",
      "MySQL",
      "refused",
    ],
    ...["backlog", "most lag", "held up by"],
  ];
  const lines = [
    head,
    head.map((_, index) => (index === 1 || index === 8 ? "---" : "---:")),
    ...rows,
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** From nothing to the rate within five minutes, and ten minutes there. */
function riseTo(rate: number): string {
  return `0:0,5m:${rate},15m:${rate}`;
}

function describeKnobs(knobs: Knobs): string {
  const flags = Object.entries(knobs).map(([name, value]) => {
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? option : `${option} ${value}`;
  });
  return flags.length > 0 ? `\`${flags.join(" ")}\`` : "as deployed";
}

function drawInstances({ serving, starting }: Part): string {
  if (serving + starting <= DRAWN_INSTANCES) return "●".repeat(serving) + "○".repeat(starting);
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

function most(part: readonly Second[], name: "backlog" | "lagSeconds"): number {
  return Math.max(...part.map((second) => second[name]));
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}
