import { median } from "./measure.ts";
import type { BenchName } from "./options.ts";
import type { Sample } from "./stage.ts";
import { FUNCTIONS, LIMIT_EXPRESS, LIMIT_PULL, OURS, SEED } from "./targets.ts";

/** What was promised of a figure, and what came of it. */
export type Verdict = { goal: string; wanted: string; found: number; isMet: boolean };

type Place = { case: string; target?: string; value: string };
type Goal = {
  bench: BenchName;
  goal: string;
  of: Place;
  /** Divided by this one of the same round; as it is where there is none. */
  to?: Place;
} & ({ atLeast: number } | { atMost: number });

const SIXTY_FOUR = { case: "64 clients" };
const MANY = { case: "512 clients" };
const BACKLOG = { case: "backlog" };
const FIRST = { case: "first 202" };
/** Two figures that should be equal may differ by so much, which is noise. */
const EQUAL = 0.95;
/** The whole of App Engine's small class. */
const SMALL_CLASS_MB = 384;

const GOALS: Goal[] = [
  ...against("post", "POST, 64 clients", SIXTY_FOUR, SEED, [
    ["rate to the seed shape's", "perSecond", { atLeast: 3 }],
    ["p50 to the seed shape's", "p50Ms", { atMost: 1 / 3 }],
    ["p99 to the seed shape's", "p99Ms", { atMost: 1 / 3 }],
  ]),
  ...against("post", "POST, 64 clients", SIXTY_FOUR, LIMIT_EXPRESS, [
    ["rate to an Express that does nothing", "perSecond", { atLeast: 0.9 }],
  ]),
  ...against("post", "POST, 512 clients", MANY, SEED, [
    ["rate to the seed shape's", "perSecond", { atLeast: 1.2 }],
    ["processor time to the seed shape's", "apiMicros", { atMost: 1 }],
    ["p99 to the seed shape's", "p99Ms", { atMost: 0.5 }],
  ]),
  {
    ...{ bench: "post", goal: "POST, 1 client: p50, ms", atMost: 2.5 },
    of: { case: "1 client", value: "p50Ms" },
  },
  {
    ...{ bench: "post", goal: "NDJSON: records to single POSTs", atLeast: 5 },
    of: { case: "bulk, 4 clients", value: "perSecond" },
    to: { case: "64 clients", value: "perSecond" },
  },
  ...against("drain", "backlog", BACKLOG, SEED, [
    ["rate to the seed shape's", "perSecond", { atLeast: 3 }],
  ]),
  ...against("drain", "backlog", BACKLOG, LIMIT_PULL, [
    ["rate to bare pull and ack", "perSecond", { atLeast: 0.75 }],
  ]),
  {
    ...{ bench: "drain", goal: "backlog: subscriber, µs a row", atMost: 35 },
    of: { ...BACKLOG, value: "subscriberMicros" },
  },
  {
    ...{ bench: "drain", goal: "backlog: MySQL, µs a row", atMost: 30 },
    of: { ...BACKLOG, value: "mysqlMicros" },
  },
  ...against("push", "push", { case: "200 at once" }, FUNCTIONS, [
    ["rate to a function's", "perSecond", { atLeast: 2 }],
  ]),
  ...against("get", "GET by id, 64 clients", SIXTY_FOUR, SEED, [
    ["rate to the seed shape's", "perSecond", { atLeast: 1.7 }],
  ]),
  ...against("get", "GET by id, 64 clients", SIXTY_FOUR, LIMIT_EXPRESS, [
    ["rate to an Express that answers a constant", "perSecond", { atLeast: 0.8 }],
  ]),
  {
    ...{ bench: "readable", goal: "accepted to readable at half load: p50, ms", atMost: 60 },
    of: { case: "half load", value: "p50Ms" },
  },
  ...against("start", "start", FIRST, SEED, [
    ["process to first 202, to the seed shape's", "first202Ms", { atMost: 0.75 }],
    ["idle memory to the seed shape's", "idleMb", { atMost: 0.9 }],
  ]),
  {
    ...{ bench: "post", goal: "memory: API's most at full load, MB", atMost: SMALL_CLASS_MB },
    of: { ...MANY, value: "apiMb" },
  },
  ...(["subscriberMicros", "mysqlMicros"] as const).map((value): Goal => {
    const goal = `scale: ${value} among many rows to few`;
    const of = { case: "creates among many rows", value };
    return {
      bench: "scale",
      goal,
      of,
      to: { case: "creates among few rows", value },
      atMost: 1.15,
    };
  }),
  {
    ...{ bench: "scale", goal: "scale: page at depth to the first, rate", atLeast: EQUAL },
    of: { case: "page at depth", value: "perSecond" },
    to: { case: "first page", value: "perSecond" },
  },
  {
    ...{ bench: "scale", goal: "scale: puts on hot ids to creates, rate", atLeast: 0.5 },
    of: { case: "nine in ten are puts on hot ids", value: "perSecond" },
    to: { case: "creates among few rows", value: "perSecond" },
  },
  {
    ...{ bench: "scale", goal: "scale: deadlocks surfaced", atMost: 0 },
    of: { case: "nine in ten are puts on hot ids", value: "deadlocks" },
  },
];

/** The verdicts on what was measured; goals whose figures are not there are left out. */
export function judge(samples: readonly Sample[]): Verdict[] {
  return GOALS.flatMap((goal) => {
    const found = median(findValues(samples, goal));
    if (Number.isNaN(found)) return [];
    const isMet = "atLeast" in goal ? found >= goal.atLeast : found <= goal.atMost;
    const bound = "atLeast" in goal ? goal.atLeast : goal.atMost;
    const wanted = `${"atLeast" in goal ? "at least" : "at most"} ${shorten(bound)}`;
    return [{ goal: goal.goal, wanted, found, isMet }];
  });
}

/** Of each round: the figure, or its ratio to the other figure of that round. */
function findValues(samples: readonly Sample[], { bench, of, to }: Goal): number[] {
  const find = (place: Place) =>
    new Map(
      samples
        .filter((sample) => sample.bench === bench && sample.case === place.case)
        .filter(({ target }) => target === (place.target ?? OURS))
        .map(({ round, values }) => [round, values[place.value] ?? Number.NaN]),
    );
  const others = to && find(to);
  return [...find(of)]
    .map(([round, value]) => (others ? value / (others.get(round) ?? Number.NaN) : value))
    .filter((value) => !Number.isNaN(value));
}

/** A number with as many digits as mean something. */
export function shorten(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toFixed(Math.abs(value) >= 10 ? 1 : 2)));
}

function against(
  bench: BenchName,
  what: string,
  place: { case: string },
  other: string,
  parts: [string, string, { atLeast: number } | { atMost: number }][],
): Goal[] {
  return parts.map(([words, value, bound]) => {
    const of = { ...place, value };
    return { bench, goal: `${what}: ${words}`, of, to: { ...of, target: other }, ...bound };
  });
}
