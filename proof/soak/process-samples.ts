import { readdirSync } from "node:fs";
import type { ChaosCluster } from "../cluster/chaos-cluster.ts";
import { residentMb } from "../support/process-usage.ts";

type Sample = { atMs: number; mb: number; descriptors: number };
/** A process from its start to its end; one name may have had several. */
type Life = { pid: number; samples: Sample[] };

/** The figures of all processes of one name. */
export type ProcessFigures = {
  name: string;
  lives: number;
  /** The part of the longest life that the growth is computed from. */
  minutes: number;
  /** By least squares; null where that part is too short. */
  mbPerHour: number | null;
  maxMb: number;
  /** The first and the last of the longest life; the maximum of all lives. */
  descriptors: { first: number; last: number; max: number };
  /** Every sample of each life: minutes since the first sample, MB, descriptors. */
  samples: [minutes: number, mb: number, descriptors: number][][];
};

/** A process compiles, fills its pools and grows its heap for three to seven minutes. */
const WARM_UP_MS = 10 * 60_000;
/** Over less than this, a slope shows only the turns of garbage collection. */
const JUDGED_MS = 20 * 60_000;

/** Samples memory and open descriptors of all processes of a cluster. */
export class ProcessSamples {
  readonly #cluster: ChaosCluster;
  readonly #startedAt = performance.now();
  readonly #lives = new Map<string, Life[]>();

  constructor(cluster: ChaosCluster) {
    this.#cluster = cluster;
  }

  take(): void {
    const { processes, database, pubsub } = this.#cluster;
    const pids: [string, number | undefined][] = [
      ["mysql", database.server.pid],
      ["pubsub", pubsub.pid],
      ["soak", process.pid],
    ];
    for (const { name, pid } of Object.values(processes)) pids.push([name, pid]);
    for (const [name, pid] of pids) {
      const sample = pid === undefined ? undefined : readSample(pid);
      if (pid === undefined || !sample) continue;
      const lives = this.#lives.get(name) ?? [];
      this.#lives.set(name, lives);
      if (lives.at(-1)?.pid !== pid) lives.push({ pid, samples: [] });
      lives.at(-1)?.samples.push(sample);
    }
  }

  figures(): ProcessFigures[] {
    return [...this.#lives].map(([name, lives]) => ({
      ...computeFigures(name, lives),
      samples: lives.map(({ samples }) => samples.map((sample) => this.#toRow(sample))),
    }));
  }

  #toRow({ atMs, mb, descriptors }: Sample): [number, number, number] {
    const minutes = (atMs - this.#startedAt) / 60_000;
    return [Math.round(minutes * 100) / 100, Math.round(mb * 10) / 10, descriptors];
  }
}

function computeFigures(name: string, lives: readonly Life[]): Omit<ProcessFigures, "samples"> {
  const all = lives.flatMap(({ samples }) => samples);
  const longest = lives.map(({ samples }) => samples).sort((one, other) => span(other) - span(one));
  const samples = longest[0] ?? [];
  const judged = selectJudged(samples);
  return {
    name,
    lives: lives.length,
    minutes: span(judged) / 60_000,
    mbPerHour: span(judged) >= JUDGED_MS ? computeSlope(judged) * 3_600_000 : null,
    maxMb: Math.max(...all.map(({ mb }) => mb)),
    descriptors: {
      first: samples[0]?.descriptors ?? 0,
      last: samples.at(-1)?.descriptors ?? 0,
      max: Math.max(...all.map(({ descriptors }) => descriptors)),
    },
  };
}

/**
 * The second half of a life, without its warm-up. A fault may enlarge a heap once, and it stays so;
 * a leak goes on.
 */
export function selectJudged<S extends Pick<Sample, "atMs">>(samples: readonly S[]): S[] {
  const begin = (samples[0]?.atMs ?? 0) + Math.max(WARM_UP_MS, span(samples) / 2);
  return samples.filter(({ atMs }) => atMs >= begin);
}

/** Megabytes a millisecond, by least squares. */
export function computeSlope(samples: readonly Pick<Sample, "atMs" | "mb">[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const atMean = mean(samples.map(({ atMs }) => atMs));
  const mbMean = mean(samples.map(({ mb }) => mb));
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

/** Undefined where the process has just ended. */
function readSample(pid: number): Sample | undefined {
  try {
    const mb = residentMb(pid).now;
    if (Number.isNaN(mb)) return undefined;
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    return { atMs: performance.now(), mb, descriptors };
  } catch {
    return undefined;
  }
}
