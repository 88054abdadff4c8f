import { findEnvironment } from "../../iac/environments.ts";
import { readSettings } from "../../iac/settings.ts";
import { UsageError } from "../../ops/command-line.ts";
import { F2_SLOWDOWN, FIGURES, parseCores, type ShapeName, START_SECONDS } from "./figures.ts";
import type { Setup } from "./simulate-model.ts";

/** The longest curve, simulated second by second. */
const MAX_SECONDS = 2 * 24 * 3_600;
/** The duration of a curve that is a single number. */
const STEADY_SECONDS = 600;
const MAX_PER_SECOND = 100_000_000;
const UNITS: Record<string, number> = { "": 1, s: 1, m: 60, h: 3_600 };

/** What differs from app.yaml, subscriber.yaml and the environment `production`. */
export type Changes = {
  shape?: ShapeName;
  apiInstances?: number;
  subscriberInstances?: number;
  /** Instances of a worker pool that pulls, instead of App Engine and push. */
  workers?: number;
  tier?: string;
  /** MySQL instances, each with a share of the ids. */
  databases?: number;
  /** Reads by id for each write. */
  reads?: number;
  /** Whether thousands of writes come in one request. */
  bulk?: boolean;
};

/** The setup of production with these changes. */
export function buildSetup(changes: Changes = {}): Setup {
  const { api, subscriber, environment } = readSettings(findEnvironment("production"));
  const figures = FIGURES[changes.shape ?? "constancia"];
  const reads = changes.reads ?? 1;
  const writeMicros = changes.bulk ? figures.bulkMicros : figures.postMicros;
  const apiMicros = (writeMicros + reads * figures.getMicros) * F2_SLOWDOWN;
  const ownWorkers =
    environment.delivery === "worker-pool" ? environment.workerPoolInstances : undefined;
  const workers = changes.workers ?? ownWorkers;
  const cores = parseCores(changes.tier ?? environment.tier) * (changes.databases ?? 1);
  return {
    api: {
      least: 0,
      most: changes.apiInstances ?? api.maxInstances,
      startSeconds: START_SECONDS,
      perSecond: 1_000_000 / apiMicros,
    },
    subscriber: workers
      ? {
          least: workers,
          most: workers,
          startSeconds: 0,
          perSecond: 1_000_000 / figures.pullMicros,
        }
      : {
          least: 0,
          most: changes.subscriberInstances ?? subscriber.maxInstances,
          startSeconds: START_SECONDS,
          perSecond: 1_000_000 / (figures.pushMicros * F2_SLOWDOWN),
        },
    mysql: {
      micros: cores * 1_000_000,
      settleMicros: workers ? figures.pullMysqlMicros : figures.pushMysqlMicros,
      readMicros: reads * figures.getMysqlMicros,
    },
  };
}

/**
 * Parses `--curve` into the writes offered in each second. `0:10,1m:1000,10m:1000` rises from 10 a
 * second to 1,000 within a minute and stays there until the tenth; `1000` is ten minutes of it.
 */
export function readCurve(text: string): number[] {
  if (/^\d+$/.test(text)) {
    return Array(STEADY_SECONDS).fill(readRate(text));
  }
  const points = text.split(",").map((point) => {
    const [, time, unit = "", rate = ""] = /^(\d+)([smh]?):(\d+)$/.exec(point.trim()) ?? [];
    if (time === undefined) {
      throw new UsageError(
        `--curve has "${point}", which is not TIME:RATE, such as 90s:500 or 10m:1000.`,
      );
    }
    return { at: Number(time) * (UNITS[unit] ?? 1), rate: readRate(rate) };
  });
  const [first] = points;
  if (first?.at !== 0) throw new UsageError("--curve must begin at 0, such as 0:10,10m:1000.");
  for (const [index, { at }] of points.entries()) {
    const before = points[index - 1]?.at ?? -1;
    if (at <= before)
      throw new UsageError(`--curve must have increasing times, but ${at} s follows ${before} s.`);
  }
  const length = points.at(-1)?.at ?? 0;
  if (length > MAX_SECONDS) throw new UsageError(`--curve must end within ${MAX_SECONDS} s.`);
  return points.slice(1).flatMap((point, index) => {
    const start = points[index] ?? point;
    return Array.from({ length: point.at - start.at }, (_, second) => {
      const share = second / (point.at - start.at);
      return Math.round(start.rate + (point.rate - start.rate) * share);
    });
  });
}

function readRate(text: string): number {
  const rate = Number(text);
  if (rate <= MAX_PER_SECOND) return rate;
  throw new UsageError(
    `--curve has ${text} writes a second, but at most ${MAX_PER_SECOND} are allowed.`,
  );
}
