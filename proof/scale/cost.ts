import { parseOptions, readInteger } from "../../ops/command-line.ts";
import {
  type CostOfMonth,
  type CostOfWrites,
  computeCostOfMonth,
  computeCostOfWrites,
  type Line,
  type Load,
  listCostAtRest,
  SHAPES,
  sum,
} from "./cost-model.ts";
import { FIGURES, type ShapeName } from "./figures.ts";
import { HOURS_A_MONTH, MILLION, PRICED_ON, PRICES } from "./prices.ts";

const HELP = `npm run proof -- cost [options]

Prints what a month without traffic, a million writes, and a month with the given writes cost on
Google Cloud, in US dollars, beside a hand-written service of the same shape.

  --writes N    creates in the month (default: 1000000)
  --bytes N     bytes of an item's JSON (default: 300)
  --hours N     hours of the month over which they are spread (default: 730, the whole month)
  --json        print JSON
  --help        show this text

Prices are Google's of ${PRICED_ON} (proof/scale/prices.ts). Processor times are those of
\`${FIGURES.command}\` on ${FIGURES.measuredOn} (proof/bench/figures.json).
`;
const DEFAULT_LOAD: Load = { writes: MILLION, itemBytes: 300, hours: HOURS_A_MONTH };
const SHAPE_NAMES = Object.keys(SHAPES) as ShapeName[];
const TITLES = Object.values(SHAPES).map(({ title }) => title);

const WRITES_ROWS: [keyof CostOfWrites, string][] = [
  ["messages", "Pub/Sub"],
  ["retained", "Pub/Sub, retention for a restore of MySQL"],
  ["instances", "processor time"],
  ["logs", "Cloud Logging"],
  ["traces", "Cloud Trace, one trace in twenty"],
  ["disk", "disk, each month that they stay"],
];
const MONTH_ROWS: [Exclude<keyof CostOfMonth, "databaseCores">, string][] = [
  ["database", "MySQL, 10 GiB and its backups"],
  ["watching", "secrets; alerts and metrics where there are any"],
  ["instances", "instances while they run"],
  ["writes", "messages, their retention, logs, traces, disk"],
];
const AT_REST: Record<"staging" | "production", Line[]> = {
  staging: listCostAtRest("db-f1-micro", false),
  production: listCostAtRest("db-custom-1-3840", true),
};

if (import.meta.main) process.exitCode = main(process.argv.slice(2));

/** Prints what the options ask for and returns the exit status. */
function main(args: string[]): number {
  try {
    const { load, isJson, isHelp } = readOptions(args);
    process.stdout.write(isHelp ? HELP : isJson ? toJson(load) : `${describeCost(load)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
}

function readOptions(args: string[]): { load: Load; isJson: boolean; isHelp: boolean } {
  const { values } = parseOptions({
    args,
    options: {
      writes: { type: "string", default: String(DEFAULT_LOAD.writes) },
      bytes: { type: "string", default: String(DEFAULT_LOAD.itemBytes) },
      hours: { type: "string", default: String(DEFAULT_LOAD.hours) },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const load = {
    writes: readInteger("writes", values.writes),
    itemBytes: readInteger("bytes", values.bytes, { max: 256 * 1_024 }),
    hours: readInteger("hours", values.hours, { max: HOURS_A_MONTH }),
  };
  return { load, isJson: values.json, isHelp: values.help };
}

/** All tables in Markdown; with the default load, those of docs/deploy.md. */
export function describeCost(load: Load = DEFAULT_LOAD): string {
  return [
    describeRest("staging"),
    describeRest("production"),
    describeMillion(load),
    describeMonth(load),
    `Free each month: ${PRICES.pubsubFreeGib} GiB of Pub/Sub, ${PRICES.loggingFreeGib} GiB of logs,` +
      ` ${PRICES.freeMillionSpans} million spans.`,
  ].join("\n\n");
}

function describeRest(environment: keyof typeof AT_REST): string {
  const total = sum(AT_REST[environment].map(({ dollars }) => dollars));
  return toTable(
    [`a month at rest, ${environment}`, "basis", "US$"],
    AT_REST[environment].map(({ name, basis, dollars }) => [name, basis, toText(dollars)]),
    ["**total**", "", `**${toText(total)}**`],
  );
}

function describeMillion(load: Load): string {
  const columns = SHAPE_NAMES.map((name) => scaleToMillion(computeCostOfWrites(name, load), load));
  return toTable(
    [`a million more writes of ${load.itemBytes} bytes, US$`, ...TITLES],
    WRITES_ROWS.map(([part, title]) => [title, ...columns.map((column) => toText(column[part]))]),
    ["**total**", ...columns.map((column) => `**${toText(sum(Object.values(column)))}**`)],
  );
}

function describeMonth(load: Load): string {
  const columns = SHAPE_NAMES.map((name) => computeCostOfMonth(name, load));
  const totals = columns.map((column) => sum(MONTH_ROWS.map(([part]) => column[part])));
  const rate = load.writes / load.hours / 3_600;
  const perSecond = rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en");
  const writes = load.writes.toLocaleString("en");
  return toTable(
    [`a month with ${writes} writes in ${load.hours} h, ${perSecond} a second, US$`, ...TITLES],
    [
      ["cores of MySQL", ...columns.map(({ databaseCores }) => String(databaseCores))],
      ...MONTH_ROWS.map(([part, title]) => [title, ...columns.map((row) => toText(row[part]))]),
    ],
    ["**total**", ...totals.map((dollars) => `**${toText(dollars)}**`)],
  );
}

function toJson(load: Load): string {
  const shapes = SHAPE_NAMES.map((name) => ({
    title: SHAPES[name].title,
    millionWrites: scaleToMillion(computeCostOfWrites(name, load), load),
    month: computeCostOfMonth(name, load),
  }));
  return `${JSON.stringify({ pricedOn: PRICED_ON, load, atRest: AT_REST, shapes }, null, 2)}\n`;
}

function scaleToMillion(cost: CostOfWrites, { writes }: Load): CostOfWrites {
  const entries = Object.entries(cost).map(([part, dollars]) => [
    part,
    dollars * (MILLION / writes),
  ]);
  return Object.fromEntries(entries);
}

function toTable(head: string[], rows: string[][], last: string[]): string {
  const toRow = (cells: string[]) => `| ${cells.join(" | ")} |`.replaceAll("|  |", "| |");
  const alignment = head.map((title, index) => (index > 0 && title !== "basis" ? "---:" : "---"));
  return [toRow(head), `|${alignment.join("|")}|`, ...rows.map(toRow), toRow(last)].join("\n");
}

function toText(dollars: number): string {
  return dollars < 1_000 ? dollars.toFixed(2) : Math.round(dollars).toLocaleString("en");
}
