import { DAY_MS } from "../../common/limits.ts";
import { getWriteTime, isWriteId } from "../../common/write-id.ts";
import { type Claim, formatItem, type StateClaim } from "./claims.ts";
import {
  CLOCK_MS,
  describeAnswer,
  type Exchange,
  type Json,
  type Place,
  type Reading,
  readVersion,
} from "./exchange.ts";

/** Claims of one page; the others of a large page say little more. */
const PAGE_CLAIMS = 50;
/** The API's default (README). */
const DEFAULT_LIMIT = 50;

/** What the answer to a GET or HEAD says. */
export function readGetAnswer(exchange: Exchange, place: Place): Reading {
  if (place.write !== undefined) return readReceipt(exchange, place, place.write);
  if (place.item !== undefined) return readItem(exchange, place, place.item);
  return readPage(exchange, place);
}

function readItem(exchange: Exchange, place: Place, id: string): Reading {
  const { status, answered, answerHeaders, headers, method } = exchange;
  const faults: string[] = [];
  const states: Record<number, StateClaim> = {
    200: { is: "present" },
    304: { is: "present" },
    404: { is: "absent" },
    410: { is: "deleted" },
  };
  const state = states[status];
  if (!state) return { claims: [], faults };
  if (state.is === "present") {
    const version = readVersion(exchange);
    if (version === undefined) return { claims: [], faults: ["no ETag"] };
    state.version = version;
    const modified = String(answerHeaders["last-modified"]);
    if (!isModified(modified, version, exchange.fromMs))
      faults.push(`Last-Modified is ${modified} for the version ${version}`);
    const tags = headers["if-none-match"] ?? "";
    if (status === 304 && !tags.includes(version) && !tags.includes("*"))
      faults.push(`${version} is not in If-None-Match: ${tags}`);
  }
  if (state.is === "present" && status === 200 && method === "GET") {
    const { id: shown, ...item } = answered as Json;
    if (shown !== id) faults.push(`the id of ${id} is ${shown}`);
    state.item = formatItem(item);
  }
  const after = place.query.get("after") ?? "";
  // One that is older than receipts are kept is not looked for.
  const isChecked = isWriteId(after) && Date.now() - getWriteTime(after) < DAY_MS;
  const claim: Claim = {
    ...describeAnswer(exchange),
    state,
    ...(isChecked ? { receipt: { write: after, is: "settled" } } : {}),
  };
  return { claims: [[`${place.collection}/${id}`, claim]], faults };
}

/**
 * Whether `Last-Modified` is the time of the version, in seconds. Where another API's clock was
 * ahead, it is the time of the answer (RFC 9110, 8.8.2.1).
 */
function isModified(header: string, version: string, fromMs: number): boolean {
  const versionMs = getWriteTime(version);
  const answeredMs = performance.timeOrigin + fromMs - CLOCK_MS;
  const headerMs = Date.parse(header);
  return (
    header === new Date(versionMs).toUTCString() || (headerMs < versionMs && headerMs > answeredMs)
  );
}

function readPage(exchange: Exchange, { collection, query }: Place): Reading {
  const { status, answered } = exchange;
  if (status !== 200 || answered === undefined) return { claims: [], faults: [] };
  const { data, next } = answered as { data: Json[]; next: unknown };
  const faults: string[] = [];
  const limit = Number(query.get("limit") ?? DEFAULT_LIMIT);
  if (data.length > limit) faults.push(`${data.length} items where the limit is ${limit}`);
  if (next !== null && data.length < limit) faults.push("a page that is not full has a next one");
  if (new Set(data.map(({ id }) => id)).size < data.length) faults.push("a page has an item twice");
  const claims = data.slice(0, PAGE_CLAIMS).map(({ id, ...item }): [string, Claim] => {
    const state: StateClaim = { is: "present", item: formatItem(item) };
    return [`${collection}/${id}`, { ...describeAnswer(exchange), state }];
  });
  return { claims, faults };
}

function readReceipt(exchange: Exchange, { collection, item }: Place, write: string): Reading {
  const { status, answered } = exchange;
  const say = (receipt: Claim["receipt"], faults: string[] = []): Reading => {
    const claim = { ...describeAnswer(exchange), ...(receipt ? { receipt } : {}) };
    return { claims: [[`${collection}/${item}`, claim]], faults };
  };
  if (status === 404) return say({ write, is: "unknown" });
  if (status !== 200 || answered === undefined) return { claims: [], faults: [] };
  const { status: shown, ...members } = answered as Json;
  if (shown === "accepted") return say({ write, is: "in flight" });
  const isExplained =
    members.outcome === "applied" || members.outcome === "duplicate" || Boolean(members.reason);
  const faults = isExplained ? [] : [`the write ${write} is ${members.outcome} without a reason`];
  return say({ write, is: "settled", members }, faults);
}
