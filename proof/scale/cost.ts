import { parseArgs } from "node:util";
import { UsageError } from "../../ops/command-line.ts";
import { costAtRest, type Line } from "./cost-at-rest.ts";
import { FIGURES } from "./figures.ts";
import { HOURS_A_MONTH, MILLION, PRICED_ON, PRICES } from "./prices.ts";
import { type CostOfMonth, type CostOfWrites, type Load, SHAPES } from "./shapes.ts";

const HELP = `npm run proof -- cost [options]

Dollars for a month at rest, for a million writes, and for a month with the given writes, beside
those of a shape by hand, of Kafka in Pub/Sub's place, and of a gateway with functions.

  --writes N    in the month, creates (default: 1000000)
  --bytes N     of an item's JSON (default: 300)
  --hours N     of the month that they are spread over (default: 730, all of it)
  --json        for programs
  --help        this text

Prices are Google's of ${PRICED_ON} (proof/scale/prices.ts), processor times those of
\`${FIGURES.command}\` on ${FIGURES.measuredOn} (proof/bench/figures.json).
`;
export const DEFAULT_LOAD: Load = { writes: MILLION, itemBytes: 300, hours: HOURS_A_MONTH };

const WRITES_ROWS: [keyof CostOfWrites, string][] = [
  ["messages", "Pub/Sub, or Kafka's copies between zones"],
  ["instances", "processor time, or invocations"],
  ["gateway", "API Gateway"],
  ["logs", "Cloud Logging"],
  ["traces", "Cloud Trace, one trace in twenty"],
  ["disk", "disk, each month that they stay"],
];
const MONTH_ROWS: [Exclude<keyof CostOfMonth, "databaseCores">, string][] = [
  ["database", "MySQL, 10 GiB and its backups"],
  ["broker", "Kafka's brokers"],
  ["watching", "secrets; alerts and metrics where there are any"],
  ["instances", "instances while awake, or invocations"],
  ["writes", "messages, gateway, logs, traces, disk"],
];

const AT_REST: Record<"staging" | "production", Line[]> = {
  staging: atRest("db-f1-micro", false),
  production: atRest("db-custom-1-3840", true),
};

if (import.meta.main) process.exitCode = main(process.argv.slice(2));

/** Prints what was asked for; the exit status. */
function main(args: string[]): number {
  try {
    const { load, isJson, isHelp } = readOptions(args);
    process.stdout.write(isHelp ? HELP : isJson ? toJson(load) : `${describeCost(load)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(
      `${(error as Error).message} (npm run proof -- cost --help tells the options)\n`,
    );
    return 2;
  }
}

/** All tables; those of docs/deploy.md with the defaults. */
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

/** What stands still, line by line. */
function describeRest(environment: keyof typeof AT_REST): string {
  return toTable(
    [`a month at rest, ${environment}`, "of", "US$"],
    AT_REST[environment].map(({ what, basis, dollars }) => [what, basis, toText(dollars)]),
    ["**in all**", "", `**${toText(sum(AT_REST[environment].map(({ dollars }) => dollars)))}**`],
  );
}

/** A million more writes, where instances are awake anyway, by shape. */
export function describeMillion(load: Load = DEFAULT_LOAD): string {
  const columns = SHAPES.map(({ ofWrites }) => perMillion(ofWrites(load), load.writes));
  return toTable(
    [`a million more writes of ${load.itemBytes} bytes, US$`, ...SHAPES.map(({ title }) => title)],
    WRITES_ROWS.map(([part, title]) => [title, ...columns.map((column) => toText(column[part]))]),
    ["**in all**", ...columns.map((column) => `**${toText(sum(Object.values(column)))}**`)],
  );
}

/** A month in production with all of the load, by shape. */
export function describeMonth(load: Load = DEFAULT_LOAD): string {
  const columns = SHAPES.map(({ ofMonth }) => ofMonth(load));
  const totals = columns.map((column) => sum(MONTH_ROWS.map(([part]) => column[part])));
  const rate = load.writes / load.hours / 3_600;
  const head = `a month with ${load.writes.toLocaleString("en")} writes in ${load.hours} h`;
  return toTable(
    [
      `${head}, ${rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en")} a second, US$`,
      ...SHAPES.map(({ title }) => title),
    ],
    [
      ["cores of MySQL", ...columns.map(({ databaseCores }) => String(databaseCores))],
      ...MONTH_ROWS.map(([part, title]) => [title, ...columns.map((row) => toText(row[part]))]),
    ],
    ["**in all**", ...totals.map((dollars) => `**${toText(dollars)}**`)],
  );
}

function atRest(tier: string, isWatched: boolean): Line[] {
  return costAtRest({ tier, databaseGib: 10, secrets: 2, isWatched });
}

function toJson(load: Load): string {
  const shapes = SHAPES.map(({ title, ofWrites, ofMonth }) => ({
    title,
    millionWrites: perMillion(ofWrites(load), load.writes),
    month: ofMonth(load),
  }));
  return `${JSON.stringify({ pricedOn: PRICED_ON, load, atRest: AT_REST, shapes }, null, 2)}\n`;
}

function perMillion(cost: CostOfWrites, writes: number): CostOfWrites {
  const entries = Object.entries(cost).map(([part, dollars]) => [
    part,
    dollars * (MILLION / writes),
  ]);
  return Object.fromEntries(entries);
}

function toTable(head: string[], rows: string[][], last: string[]): string {
  const toRow = (cells: string[]) => `| ${cells.join(" | ")} |`.replaceAll("|  |", "| |");
  const numbers = head.map((_, index) => (index > 0 && head[index] !== "of" ? "---:" : "---"));
  return [toRow(head), `|${numbers.join("|")}|`, ...rows.map(toRow), toRow(last)].join("\n");
}

function toText(dollars: number): string {
  return dollars < 1_000 ? dollars.toFixed(2) : Math.round(dollars).toLocaleString("en");
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function readOptions(args: string[]): { load: Load; isJson: boolean; isHelp: boolean } {
  const { values } = parseArgs({
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
    writes: count("--writes", values.writes, Number.MAX_SAFE_INTEGER),
    itemBytes: count("--bytes", values.bytes, 256 * 1_024),
    hours: count("--hours", values.hours, HOURS_A_MONTH),
  };
  return { load, isJson: values.json, isHelp: values.help };
}

function count(option: string, text: string, most: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new UsageError(`${option} must be a whole number from 1 to ${most}, not "${text}"`);
}
