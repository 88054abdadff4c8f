import figures from "../bench/figures.json" with { type: "json" };

/**
 * Processor time in microseconds for one record, as `npm run bench` measured it on the day and the
 * machine that proof/bench/figures.json names. `post` and `bulk` are the API's for a single record
 * and for one among thousands, `get` for a read by id, `push` and `pull` the subscriber's for one
 * row. `seed` is a hand-written service that awaits each publish and runs an INSERT for each message.
 */
export const FIGURES = figures;
export type Figures = typeof figures.constancia;
export type ShapeName = "constancia" | "seed";

/** Bytes for one write beside the item's JSON; sizes.test.ts measures them. */
export const SIZES = {
  /** The attributes of a message. */
  attributes: 275,
  /** The other columns of a row, its keys, and the free space of InnoDB's pages. */
  row: 405,
  /** The log lines `writes accepted` and `writes settled` of a single write. */
  logLines: 1_370,
};

/** App Engine's F2 has 1.2 GHz; the measured machine had about 3. An assumption. */
export const F2_SLOWDOWN = 2.5;
/** App Engine's default of `target_cpu_utilization`. */
export const TARGET_UTILISATION = 0.6;

/** The time that an instance on App Engine takes to start. An assumption. */
export const START_SECONDS = 3;

/** The cores of a Cloud SQL tier; shared cores are a fraction of one. */
export function parseCores(tier: string): number {
  const shared: Record<string, number> = { "db-f1-micro": 0.2, "db-g1-small": 0.5 };
  const cores = shared[tier] ?? Number(/^db-custom-(\d+)-\d+$/.exec(tier)?.[1]);
  if (Number.isFinite(cores)) return cores;
  throw new Error(`The number of cores of the tier "${tier}" is not known.`);
}

/** The smallest tier with dedicated cores that is at most 60 % busy; undefined if none is. */
export function chooseTier(busyCores: number): string | undefined {
  const cores = [1, 2, 4, 8, 16, 32, 64, 96].find(
    (count) => busyCores <= count * TARGET_UTILISATION,
  );
  return cores === undefined ? undefined : `db-custom-${cores}-${cores * 3_840}`;
}
