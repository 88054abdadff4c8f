import { parseArgs } from "node:util";

export const BENCH_NAMES = [
  ...(["post", "drain", "push", "get", "readable", "start", "scale", "trace"] as const),
];
export type BenchName = (typeof BENCH_NAMES)[number];
export type Emulator = "google" | "own";

/** How much is measured: what every bench takes its numbers from. */
export type Amounts = {
  /** Of one window of load, and of the load before it that is not measured. */
  seconds: number;
  warmSeconds: number;
  /** A window ends here, too. */
  requests: number;
  /** Messages waiting when a subscriber starts. */
  backlog: number;
  /** Rows that the slow subscribers are watched for; the rest of the backlog is thrown away. */
  peerRows: number;
  /** Rows that are read by id. */
  items: number;
  /** Rows of the large table. */
  scaleRows: number;
  /** Writes that are followed until they can be read. */
  followed: number;
};

export type Options = {
  benches: BenchName[];
  rounds: number;
  size: "full" | "quick" | "smoke";
  amounts: Amounts;
  emulator: Emulator;
  /** Streaming pulls of our subscriber and of the raw one. */
  streams: number;
  /** The share of traces that our processes send, or `off`. */
  sampling: string;
  profile: boolean;
  /** Of post and get, only the cases whose name has this text. */
  only: string;
  output: string;
};

const FULL: Amounts = {
  seconds: 3,
  warmSeconds: 1.5,
  requests: 1_000_000,
  backlog: 100_000,
  peerRows: 20_000,
  items: 10_000,
  scaleRows: 5_000_000,
  followed: 300,
};
const AMOUNTS: Record<Options["size"], Amounts> = {
  full: FULL,
  quick: {
    ...FULL,
    ...{ seconds: 1.5, warmSeconds: 1, backlog: 30_000, peerRows: 6_000 },
    ...{ scaleRows: 300_000, followed: 100 },
  },
  smoke: {
    ...{ seconds: 5, warmSeconds: 0, requests: 200, backlog: 200, peerRows: 200 },
    ...{ items: 100, scaleRows: 2_000, followed: 10 },
  },
};
const MOST_ROUNDS = 100;

const HELP = `npm run bench -- [${BENCH_NAMES.join("|")} …] [options]

Measures Constancia beside what a user would pick instead, and beside the limits of this machine.
Brings up its own MySQL, with full durability, and its own Pub/Sub. Without a name: everything.

  --rounds N           how often each is measured, one after the other (default: 3)
  --quick              shorter windows, smaller backlogs, a smaller table
  --smoke              one round of 200 requests: tells that it runs, and nothing else
  --emulator NAME      google (Google's own) or own (local/pubsub) (default: google)
  --streams N          streaming pulls at once, ours and the raw one's (default: 20)
  --sampling SHARE     of traces that our processes send to a sink: off, or 0 to 1
                       (default: what app.yaml says)
  --only TEXT          of post and get, the cases whose name has the text, such as "64 clients"
  --profile            our processes write where their time goes, and the report lists it
  --output FOLDER      of the report (default: bench/results)
  --help               this text
`;

/** Reads the command line; what is wrong with it is told in a sentence, and ends the process. */
export function readOptions(defaults: { sampling: string; output: string }): Options {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: "string" },
        quick: { type: "boolean", default: false },
        smoke: { type: "boolean", default: false },
        emulator: { type: "string", default: "google" },
        streams: { type: "string", default: "20" },
        sampling: { type: "string", default: defaults.sampling },
        profile: { type: "boolean", default: false },
        only: { type: "string", default: "" },
        output: { type: "string", default: defaults.output },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const names = positionals.map((name) => oneOf("the benchmark", name, BENCH_NAMES));
    const size = values.smoke ? "smoke" : values.quick ? "quick" : "full";
    return {
      benches: names.length > 0 ? names : [...BENCH_NAMES],
      rounds: count("--rounds", values.rounds ?? (values.smoke ? "1" : "3"), MOST_ROUNDS),
      size,
      amounts: AMOUNTS[size],
      emulator: oneOf("--emulator", values.emulator, ["google", "own"]),
      streams: count("--streams", values.streams, 100),
      sampling: share("--sampling", values.sampling),
      profile: values.profile,
      only: values.only,
      output: values.output,
    };
  } catch (error) {
    console.error(`bench: ${(error as Error).message} (npm run bench -- --help tells the options)`);
    return process.exit(2);
  }
}

function oneOf<T extends string>(what: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (!found) throw new Error(`${what} must be ${allowed.join(" or ")}, not "${value}"`);
  return found;
}

function count(option: string, value: string, most: number): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Error(`${option} must be a number from 1 to ${most}, not "${value}"`);
}

function share(option: string, value: string): string {
  if (/^(off|0|1|0?\.\d+)$/.test(value)) return value;
  throw new Error(`${option} must be off or a number from 0 to 1, not "${value}"`);
}
