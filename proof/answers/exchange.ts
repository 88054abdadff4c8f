import type { Claim } from "./claims.ts";

/** The clock of an API may differ from this one's by this; that of chaos does by half of it. */
export const CLOCK_MS = 10_000;

/** A request and its answer. */
export type Exchange = {
  /** Milliseconds just before the request was sent and just after its answer was read. */
  fromMs: number;
  toMs: number;
  method: string;
  /** Path and query, as in the request line. */
  target: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** The JSON value that was sent; an array where it was lines of JSON. Undefined if unknown. */
  sent: unknown;
  status: number;
  answerHeaders: Readonly<Record<string, unknown>>;
  /** The JSON value that was answered. */
  answered: unknown;
};

/** What an answer says: claims about items, by `collection/id`, and what is wrong at first sight. */
export type Reading = { claims: [key: string, claim: Claim][]; faults: string[] };

export type Json = Record<string, unknown>;

/** What an address of the API names. */
export type Place = { collection: string; item?: string; write?: string; query: URLSearchParams };

/** Parses the address of a request, or a path in an answer; undefined where it is any other. */
export function parsePlace(target: string, collections: ReadonlySet<string>): Place | undefined {
  const [path = "", query = ""] = target.replace(/^https?:\/\/[^/?]*/i, "").split("?", 2);
  const segments = path
    .replace(/(.)\/$/, "$1")
    .split("/")
    .map(decode);
  const [root, api = "", collection = "", item, writes, write, ...more] = segments;
  const isPath =
    root === "" &&
    /^api$/i.test(api) &&
    collections.has(collection) &&
    item !== "" &&
    (writes === undefined || (/^writes$/i.test(writes) && Boolean(write))) &&
    more.length === 0;
  if (!isPath) return undefined;
  return {
    collection,
    ...(item === undefined ? {} : { item }),
    ...(write === undefined ? {} : { write }),
    query: new URLSearchParams(query),
  };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** What every claim of an answer has. */
export function describeAnswer({ fromMs, toMs, method, target, status }: Exchange): Claim {
  return { fromMs, toMs, answer: `${method} ${target.slice(0, 120)} ${status}` };
}

/** An answer's ETag without its quotes. */
export function readVersion({ answerHeaders }: Exchange): string | undefined {
  return /^"(.*)"$/.exec(String(answerHeaders.etag ?? ""))?.[1];
}
