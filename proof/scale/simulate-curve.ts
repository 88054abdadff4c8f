/** The longest that is simulated: two days, second by second. */
const MOST_SECONDS = 2 * 24 * 3_600;
/** Of a curve that is one number. */
const STEADY_SECONDS = 600;
const MOST_PER_SECOND = 100_000_000;
const UNITS: Record<string, number> = { "": 1, s: 1, m: 60, h: 3_600 };

/**
 * Writes offered in each second. `0:10,1m:1000,10m:1000` rises from 10 a second to 1,000 within a
 * minute and stays there until the tenth; `1000` is 1,000 a second for ten minutes.
 */
export function readCurve(text: string): number[] {
  if (/^\d+$/.test(text)) {
    return Array(STEADY_SECONDS).fill(ratePerSecond(text));
  }
  const points = text.split(",").map((point) => {
    const [, time, unit = "", rate = ""] = /^(\d+)([smh]?):(\d+)$/.exec(point.trim()) ?? [];
    if (time === undefined) {
      throw new Error(`--curve has "${point}", which is not TIME:RATE as in 90s:500 or 10m:1000`);
    }
    return { at: Number(time) * (UNITS[unit] ?? 1), rate: ratePerSecond(rate) };
  });
  const [first] = points;
  if (first?.at !== 0) throw new Error("--curve must begin at 0, as in 0:10,10m:1000");
  for (const [index, { at }] of points.entries()) {
    const before = points[index - 1]?.at ?? -1;
    if (at <= before)
      throw new Error(`--curve must go on in time, and ${at} s follows ${before} s`);
  }
  const length = points.at(-1)?.at ?? 0;
  if (length > MOST_SECONDS) throw new Error(`--curve must end within ${MOST_SECONDS} s`);
  return points.slice(1).flatMap((point, index) => {
    const start = points[index] ?? point;
    return Array.from({ length: point.at - start.at }, (_, second) => {
      const share = second / (point.at - start.at);
      return Math.round(start.rate + (point.rate - start.rate) * share);
    });
  });
}

function ratePerSecond(text: string): number {
  const rate = Number(text);
  if (rate <= MOST_PER_SECOND) return rate;
  throw new Error(`--curve has ${text} writes a second, and ${MOST_PER_SECOND} are the most`);
}
