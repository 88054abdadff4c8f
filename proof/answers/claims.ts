import { createHash } from "node:crypto";

/**
 * What one answer says of one item. Times are in milliseconds, by the clock of the process that sent
 * the request.
 */
export type Claim = {
  /** Just before the request was sent, and just after its answer was read. */
  fromMs: number;
  toMs: number;
  /** The request and the status of its answer, for reports. */
  answer: string;
  /** The write that the request made, as it was sent. */
  sent?: SentWrite;
  /** What the answer says of the receipt of a write. */
  receipt?: ReceiptClaim;
  /** A state that the item had at some moment between `fromMs` and `toMs`. */
  state?: StateClaim;
};

export type SentWrite = {
  write: string;
  kind: "create" | "put" | "delete";
  /** Formatted by {@link formatItem}; undefined on a delete, or where it could not be parsed. */
  item: string | undefined;
  /** The header If-Match, which may list several versions. */
  ifMatch: string | undefined;
  ifNoneMatch: boolean;
  /** If-Unmodified-Since, which the API replaces by the version that the item has. */
  isDated: boolean;
};

export type ReceiptClaim =
  /** The write is settled. With one of these outcomes, and with these members of its receipt. */
  | { write: string; is: "settled"; outcomes?: string[]; members?: Record<string, unknown> }
  /** The write is in flight. */
  | { write: string; is: "in flight" }
  /** There is no such write. */
  | { write: string; is: "unknown" };

export type StateClaim =
  /** The item exists, at this version and with this content (formatted), where they are given. */
  | { is: "present"; version?: string | undefined; item?: string | undefined }
  /** The item was deleted, by this write where it is given. */
  | { is: "deleted"; version?: string }
  /** No write of the item was applied yet. */
  | { is: "absent" }
  /** A write of the item was applied; it may have been deleted since. */
  | { is: "taken" }
  /** The item can never again be at this version: there is a newer one, or it was a delete. */
  | { is: "past"; version: string };

/** Half a million claims of at most some 600 bytes each. */
const MAX_CLAIMS = 500_000;

/** The claims of many answers, by item. Those beyond the limit are counted, and not kept. */
export class ClaimLog {
  /** Claims that were kept, and that were not. */
  kept = 0;
  dropped = 0;
  readonly #byItem = new Map<string, Claim[]>();
  readonly #maxClaims: number;

  constructor(maxClaims = MAX_CLAIMS) {
    this.#maxClaims = maxClaims;
  }

  /** `key` names an item, as `collection/id`. */
  add(key: string, claim: Claim): void {
    if (this.kept >= this.#maxClaims) {
      this.dropped += 1;
      return;
    }
    this.kept += 1;
    const claims = this.#byItem.get(key);
    if (claims) claims.push(claim);
    else this.#byItem.set(key, [claim]);
  }

  /** Removes and returns the claims about an item. */
  take(key: string): Claim[] {
    const claims = this.#byItem.get(key) ?? [];
    this.#byItem.delete(key);
    return claims;
  }

  keys(): string[] {
    return [...this.#byItem.keys()];
  }
}

const WHOLE_CHARACTERS = 100;
const CUT_CHARACTERS = 60;
/** RFC 3339; the API normalises the zone and the milliseconds. */
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)$/;

/**
 * Formats an item so that equal items are equal strings: JSON with sorted keys and date-times in UTC;
 * a long text is cut, and followed by a digest of the whole.
 */
export function formatItem(item: unknown): string {
  const text = JSON.stringify(normalise(item));
  if (text.length <= WHOLE_CHARACTERS) return text;
  const digest = createHash("sha256").update(text).digest("base64url");
  return `${text.slice(0, CUT_CHARACTERS)}… (SHA-256 ${digest})`;
}

function normalise(value: unknown): unknown {
  // A number that a double does not keep, as the product parses it.
  if (JSON.isRawJSON(value)) return Number(value.rawJSON);
  if (typeof value === "string" && DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)))
    return new Date(value).toISOString();
  if (Array.isArray(value)) return value.map(normalise);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, normalise(member)] as const);
  return Object.fromEntries(members.sort(([one], [other]) => (one < other ? -1 : 1)));
}
