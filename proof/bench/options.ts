import { parseOptions, readInteger, readNumber, UsageError } from "../../ops/command-line.ts";

export const BENCH_NAMES = ["post", "drain", "get", "start", "push", "readable", "feed"] as const;
export type BenchName = (typeof BENCH_NAMES)[number];

/** How much is measured. */
type Amounts = {
  /** A process answers so many requests before it is measured. */
  warmRequests: number;
  /** A window of load ends after so many seconds or requests. */
  seconds: number;
  requests: number;
  /** A subscriber settles so many rows before it is measured. */
  warmRows: number;
  /** Rows that are measured then: of the fast subscribers, and of the seed's. */
  rows: number;
  seedRows: number;
  /** Rows that are read by id. */
  items: number;
  /** Writes that are followed until they can be read. */
  followed: number;
};

export type Options = {
  benches: BenchName[];
  rounds: number;
  size: "full" | "quick" | "smoke";
  amounts: Amounts;
  /** The share of traces that the processes send, or `off`. */
  sampling: string;
  profile: boolean;
  /** Cases of post, get and feed whose name contains this. */
  only: string;
  output: string;
};

const AMOUNTS: Record<Options["size"], Amounts> = {
  full: {
    warmRequests: 40_000,
    seconds: 3,
    requests: 1_000_000,
    warmRows: 20_000,
    rows: 100_000,
    seedRows: 20_000,
    items: 10_000,
    followed: 300,
  },
  quick: {
    warmRequests: 15_000,
    seconds: 1.5,
    requests: 1_000_000,
    warmRows: 6_000,
    rows: 30_000,
    seedRows: 4_000,
    items: 10_000,
    followed: 100,
  },
  smoke: {
    warmRequests: 50,
    seconds: 5,
    requests: 200,
    warmRows: 50,
    rows: 150,
    seedRows: 150,
    items: 100,
    followed: 10,
  },
};
const ROUNDS: Record<Options["size"], string> = { full: "3", quick: "2", smoke: "1" };

const HELP = `npm run bench -- [${BENCH_NAMES.join("|")} ...] [options]

Measures Constancia beside the seed's shape, an Express API and a subscriber as the guides show
them, and beside the limits of this machine. Starts its own MySQL, with full durability, and its own
local Pub/Sub; POSTs are also measured on Google's emulator, where that is installed. Every case is
measured with quiet cores and with a busy process on each core. Without a name: everything.

  --rounds N        how often each case is measured, in turns (default: 3, quick 2)
  --quick           shorter windows and smaller backlogs
  --smoke           one round of 200 requests, which shows only that it runs
  --sampling SHARE  of traces that the processes send, to a sink: off, or 0 to 1
                    (default: that of app.yaml)
  --only TEXT       of post, get and feed, the cases whose name contains the text, such as "64 clients"
  --profile         profile Constancia's processes and list where their time goes
  --output FOLDER   for the report (default: proof/bench/results)
  --help            show this text
`;

/** Reads the command line; undefined where it asks for help, which is printed. */
export function readOptions(defaults: { sampling: string; output: string }): Options | undefined {
  const { values, positionals } = parseOptions({
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
      sampling: { type: "string", default: defaults.sampling },
      profile: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      output: { type: "string", default: defaults.output },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void console.log(HELP);
  const size = values.smoke ? "smoke" : values.quick ? "quick" : "full";
  const { sampling } = values;
  if (sampling !== "off") readNumber("sampling", sampling, { min: 0, max: 1 });
  return {
    benches: positionals.length > 0 ? positionals.map(readBench) : [...BENCH_NAMES],
    rounds: readInteger("rounds", values.rounds ?? ROUNDS[size], { max: 100 }),
    size,
    amounts: AMOUNTS[size],
    sampling,
    profile: values.profile,
    only: values.only,
    output: values.output,
  };
}

function readBench(name: string): BenchName {
  const found = BENCH_NAMES.find((bench) => bench === name);
  if (found) return found;
  throw new UsageError(`The benchmark must be ${BENCH_NAMES.join(" or ")}, not "${name}".`);
}
