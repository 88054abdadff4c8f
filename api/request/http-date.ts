const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const TIME = "(?<time>[0-2]\\d:[0-5]\\d:[0-5]\\d|23:59:60)";
const MONTH = `(?<month>${MONTHS.join("|")})`;
const SHORT_DAY = `(?<weekday>${DAYS.map((name) => name.slice(0, 3)).join("|")})`;

/** The three forms of an HTTP date (RFC 9110, section 5.6.7); all are in UTC. */
const FORMS = [
  // Sun, 06 Nov 1994 08:49:37 GMT
  `${SHORT_DAY}, (?<day>\\d{2}) ${MONTH} (?<year>\\d{4}) ${TIME} GMT`,
  // Sunday, 06-Nov-94 08:49:37 GMT
  `(?<weekday>${DAYS.join("|")}), (?<day>\\d{2})-${MONTH}-(?<year>\\d{2}) ${TIME} GMT`,
  // Sun Nov  6 08:49:37 1994
  `${SHORT_DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})`,
].map((form) => new RegExp(`^${form}$`));

/** Parses an HTTP date to milliseconds since 1970; undefined where it is none. */
export function parseHttpDate(text: string): number | undefined {
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups;
    if (!parts) continue;
    const { day = "", month = "", time = "", weekday = "" } = parts;
    const [hour = 0, minute = 0, second = 0] = time.split(":").map(Number);
    const year = toFullYear(parts.year ?? "");
    const date = new Date(0);
    date.setUTCFullYear(year, MONTHS.indexOf(month), Number(day));
    const isDay =
      date.getUTCDate() === Number(day) && DAYS[date.getUTCDay()]?.startsWith(weekday) === true;
    if (!isDay || hour > 23) return undefined;
    return date.setUTCHours(hour, minute, second);
  }
  return undefined;
}

/** A year of two digits that would be over 50 years ahead is of the century before. */
function toFullYear(digits: string): number {
  if (digits.length === 4) return Number(digits);
  const now = new Date().getUTCFullYear();
  const year = now - (now % 100) + Number(digits);
  return year > now + 50 ? year - 100 : year;
}
