import { parse } from "lossless-json";
import { ITEM_DEPTH } from "../../common/limits.ts";
import type { Answer, Sent } from "../support/raw-http.ts";

const MAX_LEVELS = 2 * ITEM_DEPTH;
/** Stands where a value of a body would be lost. */
const LOST = { lost: true };

/**
 * Whether a record was accepted that has a repeated key, `__proto__`, or a number beyond the range
 * of a double, by another parser than the product's: such a record cannot be given back as it was.
 */
export function judgeKept({ method, plain, headers }: Sent, { status, text }: Answer): string[] {
  if (status >= 300 || plain === undefined || !["POST", "PUT"].includes(method)) return [];
  const type = headers.find(([name]) => name === "content-type")?.[1] ?? "";
  const body = new TextDecoder().decode(Buffer.from(plain, "latin1"));
  const lines = body.split("\n").filter((line) => line.trim() !== "");
  const value = /ndjson/i.test(type) ? lines.map(parseKept) : parseKept(body);
  if (!Array.isArray(value)) return hasLost(value) ? [`${status} loses some of ${body}`] : [];
  const { results } = (text === "" ? {} : JSON.parse(text)) as { results?: { status: number }[] };
  return value.flatMap((record, place) => {
    const { status: given } = results?.[place] ?? { status };
    return given < 300 && hasLost(record)
      ? [`${given} loses some of record ${place}: ${body}`]
      : [];
  });
}

/** Undefined where it is not JSON. */
function parseKept(text: string): unknown {
  const parseNumber = (number: string) => (Number.isFinite(Number(number)) ? Number(number) : LOST);
  try {
    return parse(text, null, { parseNumber, onDuplicateKey: () => LOST });
  } catch {
    return undefined;
  }
}

function hasLost(value: unknown, levels = MAX_LEVELS): boolean {
  if (value === LOST) return true;
  // Nothing is accepted that is nested deeper.
  if (typeof value !== "object" || value === null || levels === 0) return false;
  return (
    Object.hasOwn(value, "__proto__") ||
    Object.values(value).some((part) => hasLost(part, levels - 1))
  );
}
