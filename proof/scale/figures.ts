import figures from "../bench/figures.json" with { type: "json" };

/**
 * What one record takes, by shape: microseconds of a processor, as `npm run bench` measured them on
 * the day and the machine that proof/bench/figures.json names. `post` and `bulk` are the API's for one
 * record alone and among thousands, `get` for one read by id; `push` and `pull` are the
 * subscriber's for one row, by how messages come to it. The seed's shape, hand-written, awaits
 * each publish and inserts each message alone; its `push` is that of functions-framework.
 */
export const FIGURES = figures;
export type Figures = typeof figures.constancia;
export type ShapeName = "constancia" | "seed";

/** Bytes beside the item's own JSON; proof/scale/cost-docs.test.ts measures those of Constancia. */
export const SIZES = {
  /** The attributes of a message: a CloudEvent's, the trace, the fingerprint. */
  attributes: 275,
  /** Of a row: keys, versions, times, and what InnoDB leaves free. */
  row: 405,
  /** The lines `writes accepted` and `writes settled` of a write alone. */
  logLines: 1_370,
};

/** A core of App Engine's F2 is sold as 1.2 GHz; what was measured on ran at about 3. Assumed. */
export const F2_SLOWDOWN = 2.5;
/** How full App Engine lets instances get before it starts more: its default. */
export const TARGET_UTILISATION = 0.6;

/** From an instance's start to its first answer on App Engine. Assumed. */
export const START_SECONDS = 3;

/** The cores of a tier; the shared ones are a share of one, by Google's page on machine types. */
export function getCores(tier: string): number {
  const shared: Record<string, number> = { "db-f1-micro": 0.2, "db-g1-small": 0.5 };
  const cores = shared[tier] ?? Number(/^db-custom-(\d+)-\d+$/.exec(tier)?.[1]);
  if (Number.isFinite(cores)) return cores;
  throw new Error(`Nobody knows how many cores ${tier} has.`);
}

/** The smallest tier without shared cores that has so many cores' work done, and room left. */
export function tierFor(busyCores: number): string | undefined {
  const cores = [1, 2, 4, 8, 16, 32, 64, 96].find(
    (count) => busyCores <= count * TARGET_UTILISATION,
  );
  return cores === undefined ? undefined : `db-custom-${cores}-${cores * 3_840}`;
}
