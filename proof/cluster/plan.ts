import { CHAOS, createRandom, type Fault, type Rates } from "../../local/pubsub/faults.ts";

/** The processes of a cluster. */
export const PROCESSES = ["api-1", "api-2", "subscriber-1", "subscriber-2"] as const;
export type ProcessName = (typeof PROCESSES)[number];
type Target = ProcessName | "mysql" | "pubsub";

/** A fault: it begins at `atMs` and is undone `forMs` later. */
export type Event = { atMs: number; forMs: number; kind: EventKind; target: Target } & {
  /** Of `delay`: by how much each chunk is delayed. */
  delayMs?: number;
  /** Of `misbehave`: the rates of Pub/Sub's own faults. */
  rates?: Rates;
};

/** The kinds of events and their targets. A target that is named twice is drawn twice as often. */
const EVENT_KINDS = {
  /** SIGKILL; started again afterwards. */
  kill: [...PROCESSES, "subscriber-1", "subscriber-2", "mysql", "pubsub"],
  /** SIGTERM, as App Engine ends a process, or as MySQL is restarted. */
  terminate: [...PROCESSES, "mysql"],
  /** SIGSTOP, then SIGCONT. */
  freeze: [...PROCESSES, "mysql", "pubsub"],
  /** KILL CONNECTION for every connection. */
  cut: ["mysql", "mysql"],
  /** The network: every connection reset, new ones refused. */
  sever: ["mysql", "pubsub"],
  /** The network: slow in both directions. */
  delay: ["mysql", "pubsub"],
  /** MySQL's tablespace is full. */
  fill: ["mysql", "mysql"],
  /** MySQL is read-only, as during a failover. */
  readOnly: ["mysql"],
  /** Pub/Sub redelivers, reorders and loses acknowledgements. */
  misbehave: ["pubsub", "pubsub", "pubsub", "pubsub"],
} as const satisfies Record<string, readonly Target[]>;
type EventKind = keyof typeof EVENT_KINDS;

/** A kind of event with its target. */
type EventChoice = { kind: EventKind; target: Target };
export const EVENT_CHOICES: readonly EventChoice[] = Object.entries(EVENT_KINDS).flatMap(
  ([kind, targets]) =>
    (targets as readonly Target[]).map((target) => ({ kind: kind as EventKind, target })),
);

/** What a seed determines, beside the clients' requests. */
export type Plan = {
  seed: number;
  delivery: "pull" | "push";
  /** The clock of the second API is wrong by this. */
  skewMs: number;
  events: Event[];
};

/** How long the clients write. With start and settling a run takes 10 to 20 s. */
export const LOAD_MS = 6_000;
/** As many as fit in without most of the load failing. */
const EVENTS = { least: 3, most: 8 };
/** Longer than the publish deadline and a lease's renewal, shorter than a run. */
const DURATION_MS = { least: 100, most: 3_000 };
/** Kinds that have nothing to undo. */
const INSTANT = new Set<EventKind>(["cut"]);
const LONGEST_DELAY_MS = 250;
/** Well within the difference of clocks that the API allows for (CLOCK_SKEW_MS). */
const LARGEST_SKEW_MS = 5_000;
/** The share of runs in which Pub/Sub pushes. */
const PUSH_SHARE = 1 / 4;
/** The usual rates times at most this; 8 drops one acknowledgement in six. */
const HARSHEST = 8;

/** The same seed makes the same plan, on every machine. */
export function makePlan(seed: number): Plan {
  const random = createRandom(`plan ${seed}`);
  const between = (least: number, most: number) => Math.floor(least + random() * (most - least));
  const delivery = random() < PUSH_SHARE ? "push" : "pull";
  const skewMs = between(-LARGEST_SKEW_MS, LARGEST_SKEW_MS);
  const count = between(EVENTS.least, EVENTS.most + 1);
  const events = Array.from({ length: count }, () =>
    drawEvent(random, { choices: EVENT_CHOICES, firstMs: 200, lastMs: LOAD_MS - 500 }),
  );
  return { seed, delivery, skewMs, events: events.sort((one, other) => one.atMs - other.atMs) };
}

/** One event, at a time from `firstMs` up to `lastMs`. */
export function drawEvent(
  random: () => number,
  options: { choices: readonly EventChoice[]; firstMs: number; lastMs: number },
): Event {
  const { choices, firstMs, lastMs } = options;
  const between = (least: number, most: number) => Math.floor(least + random() * (most - least));
  const { kind, target } = choices[between(0, choices.length)] as EventChoice;
  const atMs = between(firstMs, lastMs);
  const forMs = between(DURATION_MS.least, DURATION_MS.most);
  const event: Event = { atMs, forMs: INSTANT.has(kind) ? 0 : forMs, kind, target };
  if (kind === "delay") event.delayMs = between(5, LONGEST_DELAY_MS);
  if (kind === "misbehave") event.rates = drawRates(random);
  return event;
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
export function describeEvent({ atMs, forMs, kind, target, delayMs, rates }: Event): string {
  const words = [`${atMs} ms`, kind, target];
  for (const [fault, rate] of Object.entries(rates ?? {}))
    words.push(`${fault}=${rate?.toFixed(3)}`);
  if (delayMs !== undefined) words.push(`by ${delayMs} ms`);
  if (forMs > 0) words.push(`for ${forMs} ms`);
  return words.join(" ");
}
