/**
 * A number of 16 or more digits, or with an exponent, behind what precedes a number in JSON. Any
 * double keeps 15 digits (DBL_DIG of C).
 */
const LONG_OR_EXPONENTIAL = /(?:^|[\s:,[])-?(?:[\d.]{16}|[\d.]+e)/i;

/** Whether a JSON text may have a number that a double does not keep; false for most that have none. */
export function mayLosePrecision(text: string): boolean {
  return LONG_OR_EXPONENTIAL.test(text);
}

/**
 * Parses a decimal number to the double that is written as the same decimal, whatever zeros and
 * exponent it was written with: 0.1, 1.50 and 1e2, but not 9007199254740993 or 1e400, for which it
 * returns undefined.
 */
export function parseNumber(text: string): number | undefined {
  const value = Number(text);
  if (!mayLosePrecision(text)) return value;
  return Number.isFinite(value) && normalise(text) === normalise(String(value)) ? value : undefined;
}

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i;

/** A decimal number's sign, digits without outer zeros, and power of ten; undefined if it is none. */
function normalise(decimal: string): string | undefined {
  const match = DECIMAL.exec(decimal);
  if (!match) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  const digits = (whole + fraction).replace(/^0+/, "");
  let length = digits.length;
  while (digits[length - 1] === "0") length -= 1;
  if (length === 0) return "0";
  const power = Number(exponent) - fraction.length + digits.length - length;
  return `${sign}${digits.slice(0, length)}e${power}`;
}
