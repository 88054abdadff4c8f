import { readdirSync } from "node:fs";
import { residentMb } from "../bench/measure.ts";
import type { Stage } from "../chaos/stage.ts";

/** What a process had at one time. */
type Sample = { atMs: number; mb: number; descriptors: number };
/** A process from its start to its end: the same name may have had several. */
type Life = { pid: number; samples: Sample[] };

/** What became of all the lives under one name. */
export type ProcessFigures = {
  name: string;
  lives: number;
  /** Of the longest life, what its growth is told by. */
  minutes: number;
  /** By least squares; null where that was too short to tell. */
  mbPerHour: number | null;
  maxMb: number;
  /** At the first and the last look at the longest life; the most of all lives. */
  descriptors: { first: number; last: number; max: number };
  /** Every look at each life: minutes since the first look at anything, MB, descriptors. */
  looks: [minutes: number, mb: number, descriptors: number][][];
};

/** A process compiles, fills its pools and lets its heap grow: it was seen to take 3 to 7 minutes. */
export const WARM_UP_MS = 10 * 60_000;
/** A heap grows and is swept by turns; over less than this, the turns are all that is seen. */
const JUDGED_MS = 20 * 60_000;

/** Looks at memory and descriptors, from time to time. */
export class Census {
  readonly #stage: Stage;
  readonly #startedAt = performance.now();
  readonly #lives = new Map<string, Life[]>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  look(): void {
    const { children, database, pubsub } = this.#stage;
    const pids: [string, number | undefined][] = [
      ...Object.values(children).map(({ name, pid }): [string, number | undefined] => [name, pid]),
      ["mysql", database.server.pid],
      ["pubsub", pubsub.pid],
      ["the soak itself", process.pid],
    ];
    for (const [name, pid] of pids) {
      const sample = pid === undefined ? undefined : getSample(pid);
      if (pid === undefined || !sample) continue;
      const lives = this.#lives.get(name) ?? [];
      this.#lives.set(name, lives);
      if (lives.at(-1)?.pid !== pid) lives.push({ pid, samples: [] });
      lives.at(-1)?.samples.push(sample);
    }
  }

  figures(): ProcessFigures[] {
    return [...this.#lives].map(([name, lives]) => ({
      ...getFigures(name, lives),
      looks: lives.map(({ samples }) => samples.map((sample) => this.#getLook(sample))),
    }));
  }

  #getLook({ atMs, mb, descriptors }: Sample): [number, number, number] {
    const minutes = (atMs - this.#startedAt) / 60_000;
    return [Math.round(minutes * 100) / 100, Math.round(mb * 10) / 10, descriptors];
  }
}

function getFigures(name: string, lives: readonly Life[]): Omit<ProcessFigures, "looks"> {
  const all = lives.flatMap(({ samples }) => samples);
  const longest = lives.map(({ samples }) => samples).sort((one, other) => span(other) - span(one));
  const samples = longest[0] ?? [];
  const judged = selectJudged(samples);
  const [first, last] = [samples[0]?.descriptors ?? 0, samples.at(-1)?.descriptors ?? 0];
  return {
    name,
    lives: lives.length,
    minutes: span(judged) / 60_000,
    mbPerHour: span(judged) >= JUDGED_MS ? computeSlope(judged) * 3_600_000 : null,
    maxMb: Math.max(...all.map(({ mb }) => mb)),
    descriptors: { first, last, max: Math.max(...all.map(({ descriptors }) => descriptors)) },
  };
}

/**
 * The second half of a life, without its warm-up: a fault may make a heap larger, once, and it stays
 * so; a leak goes on.
 */
export function selectJudged<Look extends Pick<Sample, "atMs">>(samples: readonly Look[]): Look[] {
  const begin = (samples[0]?.atMs ?? 0) + Math.max(WARM_UP_MS, span(samples) / 2);
  return samples.filter(({ atMs }) => atMs >= begin);
}

/** Megabytes a millisecond, by least squares. */
export function computeSlope(samples: readonly Pick<Sample, "atMs" | "mb">[]): number {
  const getMean = (values: number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const atMean = getMean(samples.map(({ atMs }) => atMs));
  const mbMean = getMean(samples.map(({ mb }) => mb));
  let [above, below] = [0, 0];
  for (const { atMs, mb } of samples) {
    above += (atMs - atMean) * (mb - mbMean);
    below += (atMs - atMean) ** 2;
  }
  return above / below;
}

function span(samples: readonly Pick<Sample, "atMs">[]): number {
  return (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
}

/** Resident memory and open descriptors; undefined where the process has just ended. */
function getSample(pid: number): Sample | undefined {
  try {
    const mb = residentMb(pid).now;
    if (Number.isNaN(mb)) return undefined;
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    return { atMs: performance.now(), mb, descriptors };
  } catch {
    return undefined;
  }
}
