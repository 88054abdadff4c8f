import { CHAOS, createRandom, type Fault, type Rates } from "../../local/pubsub/faults.ts";

/** The processes of a house. */
export const PROCESSES = ["api-1", "api-2", "subscriber-1", "subscriber-2"] as const;
export type ProcessName = (typeof PROCESSES)[number];
type Target = ProcessName | "mysql" | "pubsub";

/** What happens to the house, and to whom; `forMs` later it is undone. */
export type Event = { atMs: number; forMs: number; what: What; target: Target } & {
  /** Of `delay`: what each chunk is held back. */
  delayMs?: number;
  /** Of `misbehave`. */
  rates?: Rates;
};

/** What can happen, and to whom. What is named twice happens twice as often. */
const WHATS = {
  /** SIGKILL; started again afterwards. */
  kill: [...PROCESSES, "subscriber-1", "subscriber-2", "mysql", "pubsub"],
  /** SIGTERM, as App Engine ends a process, or as MySQL is restarted. */
  terminate: [...PROCESSES, "mysql"],
  /** SIGSTOP, then SIGCONT. */
  freeze: [...PROCESSES, "mysql", "pubsub"],
  /** KILL CONNECTION, for each. */
  cut: ["mysql", "mysql"],
  /** The network: every connection reset, new ones refused. */
  sever: ["mysql", "pubsub"],
  /** The network: slow, both ways. */
  delay: ["mysql", "pubsub"],
  /** MySQL has no room left: its tablespace is full. */
  fill: ["mysql", "mysql"],
  /** MySQL answers reads only, as while it fails over. */
  readOnly: ["mysql"],
  /** Pub/Sub does what it may do. */
  misbehave: ["pubsub", "pubsub", "pubsub", "pubsub"],
} as const satisfies Record<string, readonly Target[]>;
export type What = keyof typeof WHATS;

/** What happens, and to whom. */
export type Happening = { what: What; target: Target };
export const HAPPENINGS: readonly Happening[] = Object.entries(WHATS).flatMap(([what, targets]) =>
  (targets as readonly Target[]).map((target) => ({ what: what as What, target })),
);

/** All that a run takes from its seed, but for what the clients do (`load`, too, by the seed). */
export type Plan = {
  seed: number;
  delivery: "pull" | "push";
  /** The clock of the second API is wrong by so much. */
  skewMs: number;
  events: Event[];
};

/** How long the clients write. With start and settling a run takes 10 to 20 s. */
export const LOAD_MS = 6_000;
/** As many as fit in without most of the load failing. */
const EVENTS = { least: 3, most: 8 };
/** Longer than the publish deadline and a lease's renewal, shorter than a run. */
const DURATION_MS = { least: 100, most: 3_000 };
/** Of what has no state to be restored, such as a restart. */
const INSTANT = new Set<What>(["cut"]);
const LONGEST_DELAY_MS = 250;
/** Well inside what the API takes for a clock of its own kind (CLOCK_SKEW_MS). */
const LARGEST_SKEW_MS = 5_000;
/** One run in so many has Pub/Sub push. */
const PUSH_SHARE = 1 / 4;
/** Gentle rates times this, at most; 8 drops one acknowledgement in six. */
const HARSHEST = 8;

/** The same seed makes the same plan, on every machine. */
export function makePlan(seed: number): Plan {
  const random = createRandom(`plan ${seed}`);
  const between = (least: number, most: number) => Math.floor(least + random() * (most - least));
  const delivery = random() < PUSH_SHARE ? "push" : "pull";
  const skewMs = between(-LARGEST_SKEW_MS, LARGEST_SKEW_MS);
  const count = between(EVENTS.least, EVENTS.most + 1);
  const events = Array.from({ length: count }, () =>
    drawEvent(random, { happenings: HAPPENINGS, firstMs: 200, lastMs: LOAD_MS - 500 }),
  );
  return { seed, delivery, skewMs, events: events.sort((one, other) => one.atMs - other.atMs) };
}

/** One event, at a time from `firstMs` up to `lastMs`. */
export function drawEvent(
  random: () => number,
  options: { happenings: readonly Happening[]; firstMs: number; lastMs: number },
): Event {
  const { happenings, firstMs, lastMs } = options;
  const between = (least: number, most: number) => Math.floor(least + random() * (most - least));
  const { what, target } = happenings[between(0, happenings.length)] as Happening;
  const atMs = between(firstMs, lastMs);
  const forMs = between(DURATION_MS.least, DURATION_MS.most);
  return {
    ...{ atMs, forMs: INSTANT.has(what) ? 0 : forMs, what, target },
    ...(what === "delay" ? { delayMs: between(5, LONGEST_DELAY_MS) } : {}),
    ...(what === "misbehave" ? { rates: drawRates(random) } : {}),
  };
}

/** Half of the faults, each at its own rate. */
function drawRates(random: () => number): Rates {
  const faults = Object.entries(CHAOS) as [Fault, number][];
  const chosen = faults.filter(() => random() < 0.5);
  return Object.fromEntries(
    chosen.map(([fault, rate]) => [fault, Math.min(0.9, rate * random() * HARSHEST)]),
  );
}

/** One line for people. */
export function describeEvent({ atMs, forMs, what, target, delayMs, rates }: Event): string {
  const more = rates
    ? Object.entries(rates).map(([fault, rate]) => `${fault}=${rate?.toFixed(3)}`)
    : delayMs === undefined
      ? []
      : [`by ${delayMs} ms`];
  return [`${atMs} ms`, what, target, ...more, ...(forMs ? [`for ${forMs} ms`] : [])].join(" ");
}
