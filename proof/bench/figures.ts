import { median } from "../support/statistics.ts";
import type { Sample } from "./environment.ts";
import { LOCAL_PUBSUB } from "./servers.ts";
import { CONSTANCIA, SEED } from "./targets.ts";

/** Where each figure of figures.json comes from: processor time of one record, quiet cores. */
const SOURCES: Record<string, { bench: string; case: string; value: string }> = {
  postMicros: { bench: "post", case: "64 clients", value: "apiMicros" },
  bulkMicros: { bench: "post", case: "bulk, 4 clients", value: "apiMicros" },
  getMicros: { bench: "get", case: "64 clients", value: "apiMicros" },
  getMysqlMicros: { bench: "get", case: "64 clients", value: "mysqlMicros" },
  pushMicros: { bench: "push", case: "200 at once", value: "subscriberMicros" },
  pushMysqlMicros: { bench: "push", case: "200 at once", value: "mysqlMicros" },
  pullMicros: { bench: "drain", case: "backlog", value: "subscriberMicros" },
  pullMysqlMicros: { bench: "drain", case: "backlog", value: "mysqlMicros" },
};

/** The figures of a report in the form of figures.json, whose `machine` is written by hand. */
export function makeFigures({ madeAt, samples }: { madeAt: string; samples: Sample[] }) {
  const constancia = findFigures(samples, CONSTANCIA);
  const seed = findFigures(samples, SEED);
  // The seed has no bulk: each record is a POST.
  if (seed.postMicros !== undefined) seed.bulkMicros = seed.postMicros;
  return {
    measuredOn: madeAt.slice(0, 10),
    command: "npm run bench",
    machine: "",
    constancia,
    seed,
  };
}

function findFigures(samples: Sample[], target: string): Record<string, number> {
  const entries = Object.entries(SOURCES).flatMap(([name, { bench, case: of, value }]) => {
    const values = samples
      .filter((sample) => sample.bench === bench && sample.case === of)
      .filter((sample) => sample.target === target && sample.cores === "quiet")
      .filter((sample) => sample.pubsub === LOCAL_PUBSUB)
      .flatMap((sample) => sample.values[value] ?? []);
    return values.length === 0 ? [] : [[name, Math.round(median(values))] as const];
  });
  return Object.fromEntries(entries);
}
