import { median } from "../support/statistics.ts";
import type { Cores, Sample } from "./environment.ts";
import type { BenchName } from "./options.ts";
import { CONSTANCIA, LIMIT_PULL, SEED, WITH_FEED } from "./targets.ts";

/** A goal, and the median that was measured. */
export type Verdict = { goal: string; bound: string; found: number; isMet: boolean };

type Bound = { atLeast: number } | { atMost: number };
type Goal = {
  bench: BenchName;
  goal: string;
  case: string;
  cores: Cores;
  /** The figure, of Constancia where no other target is named. */
  value: string;
  target?: string;
  /** The target by whose figure of the same round it is divided. */
  to?: string;
  bound: Bound;
};

/** The whole memory of App Engine's small instance class. */
const SMALL_CLASS_MB = 384;

const POST_64 = { bench: "post", case: "64 clients" } as const;
const POST_512 = { bench: "post", case: "512 clients" } as const;
const BACKLOG = { bench: "drain", case: "backlog" } as const;
const GET_64 = { bench: "get", case: "64 clients" } as const;
const START = { bench: "start", case: "first 202" } as const;

const GOALS: Goal[] = [
  toSeed(POST_64, "rate", "perSecond", { atLeast: 1.5 }),
  toSeed(POST_64, "rate", "perSecond", { atLeast: 1.1 }, "busy"),
  toSeed(POST_64, "API's processor time", "apiMicros", { atMost: 1.2 }),
  toSeed(POST_512, "API's processor time", "apiMicros", { atMost: 1.05 }),
  toSeed(POST_64, "Pub/Sub's processor time", "pubsubMicros", { atMost: 1.5 }),
  toSeed(POST_64, "p50", "p50Ms", { atMost: 0.7 }),
  toSeed(POST_64, "p99", "p99Ms", { atMost: 1.2 }),
  toSeed(BACKLOG, "rate", "perSecond", { atLeast: 3 }),
  toSeed(BACKLOG, "subscriber's processor time", "subscriberMicros", { atMost: 0.5 }),
  toSeed(GET_64, "rate", "perSecond", { atLeast: 3 }),
  toSeed(START, "time", "first202Ms", { atMost: 1 }),
  toSeed(START, "idle memory", "idleMb", { atMost: 1.1 }),
  {
    ...POST_512,
    goal: "post, 512 clients: API's peak memory in MB",
    cores: "quiet",
    value: "apiMb",
    bound: { atMost: SMALL_CLASS_MB },
  },
  {
    ...BACKLOG,
    goal: "pull and ack by Google's client, as configured: messages a second",
    cores: "quiet",
    value: "perSecond",
    target: LIMIT_PULL,
    bound: { atLeast: 20_000 },
  },
  {
    bench: "feed",
    case: "pull, backlog",
    goal: "backlog by pull, quiet cores: rate with a feed to that without",
    cores: "quiet",
    value: "perSecond",
    target: WITH_FEED,
    to: CONSTANCIA,
    bound: { atLeast: 0.7 },
  },
];

/** The verdicts on what was measured, for each Pub/Sub; a goal without figures is left out. */
export function judge(samples: readonly Sample[]): Verdict[] {
  return GOALS.flatMap((goal) => {
    const own = samples.filter((sample) => matchesGoal(goal, sample));
    const byPubsub = Map.groupBy(own, ({ pubsub }) => pubsub);
    return [...byPubsub].flatMap(([pubsub, some]) => {
      const found = median(listValues(some, goal));
      if (Number.isNaN(found)) return [];
      const { bound } = goal;
      const isAtLeast = "atLeast" in bound;
      const limit = isAtLeast ? bound.atLeast : bound.atMost;
      return [
        {
          goal: goal.bench === "post" ? `${goal.goal}, ${pubsub}` : goal.goal,
          bound: `${isAtLeast ? "at least" : "at most"} ${shorten(limit)}`,
          found,
          isMet: isAtLeast ? found >= limit : found <= limit,
        },
      ];
    });
  });
}

/** A number with its significant digits. */
export function shorten(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toFixed(Math.abs(value) >= 10 ? 1 : 2)));
}

function matchesGoal(goal: Goal, sample: Sample): boolean {
  const isCase = sample.bench === goal.bench && sample.case === goal.case;
  return isCase && sample.cores === goal.cores;
}

/** Of each round: the figure, or its ratio to the seed's. */
function listValues(samples: readonly Sample[], goal: Goal): number[] {
  const find = (target: string) =>
    new Map(
      samples
        .filter((sample) => sample.target === target)
        .map(({ round, values }) => [round, values[goal.value] ?? Number.NaN] as const),
    );
  const others = goal.to && find(goal.to);
  return [...find(goal.target ?? CONSTANCIA)]
    .map(([round, value]) => (others ? value / (others.get(round) ?? Number.NaN) : value))
    .filter((value) => !Number.isNaN(value));
}

function toSeed(
  of: { bench: BenchName; case: string },
  what: string,
  value: string,
  bound: Bound,
  cores: Cores = "quiet",
): Goal {
  const goal = `${of.bench}, ${of.case}, ${cores} cores: ${what} to the seed's`;
  return { ...of, goal, cores, value, to: SEED, bound };
}
