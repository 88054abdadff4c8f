import { DAY_MS } from "./limits.ts";

/** Days, hours, minutes and seconds. Months and years have no fixed length. */
const DURATION =
  /^P(?=\d|T\d)(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$/;

/** Parses a duration of ISO 8601, such as `PT5M` or `P1DT12H`, to milliseconds; undefined where it is none. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (!match) return undefined;
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = match
    .slice(1)
    .map((part) => Number(part ?? 0));
  return days * DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1_000;
}
