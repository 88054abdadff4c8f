import { findEnvironment } from "../../iac/environments.ts";
import { readSettings } from "../../iac/settings.ts";
import { F2_SLOWDOWN, FIGURES, getCores, type ShapeName, START_SECONDS } from "./figures.ts";
import type { Setup } from "./simulate-model.ts";

/** The knobs; what is left out is as app.yaml, subscriber.yaml and the environment say. */
export type Knobs = {
  shape?: ShapeName;
  apiInstances?: number;
  subscriberInstances?: number;
  /** Workers that pull, always on, instead of App Engine's push. */
  workers?: number;
  tier?: string;
  /** MySQL instances, each with a share of the ids. */
  databases?: number;
  /** Of each write, by id. */
  reads?: number;
  /** Whether writes come by the thousand in one request. */
  bulk?: boolean;
};

/** Simulated as in production, with the knobs turned. */
export function buildSetup(knobs: Knobs = {}): Setup {
  const { api, subscriber, environment } = readSettings(findEnvironment("production"));
  const figures = FIGURES[knobs.shape ?? "constancia"];
  const reads = knobs.reads ?? 1;
  const writeMicros = knobs.bulk ? figures.bulkMicros : figures.postMicros;
  const apiMicros = (writeMicros + reads * figures.getMicros) * F2_SLOWDOWN;
  const ownWorkers =
    environment.delivery === "worker-pool" ? environment.workerPoolInstances : undefined;
  const workers = knobs.workers ?? ownWorkers;
  const cores = getCores(knobs.tier ?? environment.tier) * (knobs.databases ?? 1);
  return {
    api: {
      least: 0,
      most: knobs.apiInstances ?? api.maxInstances,
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
          most: knobs.subscriberInstances ?? subscriber.maxInstances,
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
