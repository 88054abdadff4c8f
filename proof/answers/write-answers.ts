import { DAY_MS, LEAST_RECEIPT_RETENTION_DAYS } from "../../common/limits.ts";
import { getWriteTime, isWriteId } from "../../common/write-id.ts";
import {
  type Claim,
  formatItem,
  type ReceiptClaim,
  type SentWrite,
  type StateClaim,
} from "./claims.ts";
import {
  CLOCK_MS,
  describeAnswer,
  type Exchange,
  type Json,
  type Place,
  parsePlace,
  type Reading,
  readVersion,
} from "./exchange.ts";

/** What an answer says of one write: the answer itself, or one result of many. */
type Answered = {
  status: number;
  /** The path of the receipt. */
  receipt: string;
  /** Undefined in a result of many. */
  isApplied: boolean;
  version?: string | undefined;
  /** The item, or a problem; undefined without content. */
  body?: Json | undefined;
};

const KINDS: Record<string, SentWrite["kind"]> = { POST: "create", PUT: "put", DELETE: "delete" };

/** What the answer to a POST, PUT or DELETE says of each of its writes. */
export function readWriteAnswer(
  exchange: Exchange,
  place: Place,
  collections: ReadonlySet<string>,
): Reading {
  const { status, answered, answerHeaders, method } = exchange;
  const body = answered as (Json & { results?: Json[] }) | undefined;
  if (body?.results) return readResults(exchange, place, collections, body.results);
  const [, receipt] = /<([^>]*)>; rel="status"/.exec(String(answerHeaders.link ?? "")) ?? [];
  if (receipt === undefined) return readRefusal(exchange, place);
  const version = readVersion(exchange);
  const write = parsePlace(receipt, collections)?.write;
  const isApplied = version === undefined ? method === "DELETE" : version === write;
  const given = { status, receipt, isApplied, version, body };
  return readAnswered(exchange, { place, collections, given, record: exchange.sent });
}

function readResults(
  exchange: Exchange,
  place: Place,
  collections: ReadonlySet<string>,
  results: readonly Json[],
): Reading {
  const records = Array.isArray(exchange.sent) ? exchange.sent : undefined;
  const faults =
    records && records.length !== results.length
      ? [`${results.length} results of ${records.length} records`]
      : [];
  const readings = results.map((result, number): Reading => {
    const { status, receipt, outcome } = result as { status: number; receipt?: string } & Json;
    if (receipt === undefined) return { claims: [], faults: [] };
    const given = { status, receipt, isApplied: outcome === "applied", body: result };
    const reading = readAnswered(exchange, {
      place,
      collections,
      given,
      record: records?.[number],
    });
    const members = outcome === undefined ? {} : { outcome };
    for (const [, claim] of reading.claims)
      if (claim.receipt?.is === "settled")
        claim.receipt.members = { ...claim.receipt.members, ...members };
    return reading;
  });
  return {
    claims: readings.flatMap(({ claims }) => claims),
    faults: [...faults, ...readings.flatMap((reading) => reading.faults)],
  };
}

function readAnswered(
  exchange: Exchange,
  options: {
    place: Place;
    collections: ReadonlySet<string>;
    given: Answered;
    record: unknown;
  },
): Reading {
  const { place, collections, given, record } = options;
  const { collection, item, write } = parsePlace(given.receipt, collections) ?? {};
  if (!item || !write) return { claims: [], faults: [`${given.receipt} is no receipt's path`] };
  const sent = describeSent(exchange, record, write);
  const faults = checkNames(exchange, { place, given, record, item, write });
  const claim: Claim = { ...describeAnswer(exchange), sent, ...readOutcome(given, write, sent) };
  const isConditional = sent.ifMatch !== undefined || sent.ifNoneMatch || sent.isDated;
  if (given.status === 409 && isConditional) faults.push("409 for a condition");
  if (given.status === 412 && !isConditional) faults.push("412 of no condition");
  return { claims: [[`${collection}/${item}`, claim]], faults };
}

/** The ids in a request and its answer are one item's and one write's. */
function checkNames(
  { method, answerHeaders }: Exchange,
  of: { place: Place; given: Answered; record: unknown; item: string; write: string },
): string[] {
  const { place, given, record, item, write } = of;
  const { id } = given.body ?? {};
  // An item's own fields may have these names; beside an item, the version is in the ETag.
  const { write: named, receipt } = given.version === undefined ? (given.body ?? {}) : {};
  const asked = place.item ?? (method === "PUT" ? (record as Json | undefined)?.id : undefined);
  const others = [asked, id, method === "POST" ? readLocation(answerHeaders) : undefined];
  const faults = others
    .filter((other) => other !== undefined && other !== item)
    .map((other) => `the item of the receipt is ${item}, and not ${other}`);
  if (named !== undefined && named !== write)
    faults.push(`the write is ${named}, and not ${write}`);
  if (receipt !== undefined && receipt !== given.receipt)
    faults.push(`the receipt is ${receipt}, and not ${given.receipt}`);
  return faults;
}

function readLocation({ location }: Exchange["answerHeaders"]): string | undefined {
  return location === undefined ? undefined : String(location).split("/").at(-1);
}

function describeSent({ method, headers }: Exchange, record: unknown, write: string): SentWrite {
  const kind = KINDS[method] as SentWrite["kind"];
  const { id: _, ...fields } = (record ?? {}) as Json;
  const isKnown = kind !== "delete" && record !== undefined;
  return {
    write,
    kind,
    item: isKnown ? formatItem(kind === "put" ? fields : record) : undefined,
    ifMatch: headers["if-match"],
    ifNoneMatch: headers["if-none-match"] !== undefined,
    isDated: headers["if-unmodified-since"] !== undefined,
  };
}

/** What the status says of the write's receipt, and of the item. */
function readOutcome(given: Answered, write: string, sent: SentWrite): Partial<Claim> {
  const { status, isApplied, version, body } = given;
  const settle = (outcomes: string[], members = {}): ReceiptClaim => {
    return { write, is: "settled", outcomes, members };
  };
  const isWithoutEffect = settle(["superseded", "duplicate"]);
  // A problem of a settled write has the reason; an item's own field may have any name.
  const reason = { reason: body?.detail };
  const codes: Record<number, string | null> = {
    403: "not-owner",
    404: null,
    409: null,
    412: null,
  };
  if (status in codes) return { receipt: settle(["conflict"], { ...reason, code: codes[status] }) };
  if (status === 422) return { receipt: settle(["dead"], reason) };
  if (status === 410) return { receipt: isWithoutEffect, state: { is: "deleted" } };
  if (status !== 200 && status !== 201 && status !== 204) return {};
  const item = version === undefined ? undefined : readItem(body);
  if (!isApplied && status !== 201)
    return { receipt: isWithoutEffect, state: { is: "present", version, item } };
  const receipt = settle(["applied"], { created: status === 201 });
  return sent.kind === "delete"
    ? { receipt, state: { is: "deleted", version: write } }
    : { receipt, state: { is: "present", version: write, item } };
}

function readItem(body: Json | undefined): string | undefined {
  if (body === undefined) return undefined;
  const { id: _, ...item } = body;
  return formatItem(item);
}

/** What the answer says of the item where nothing was published. */
function readRefusal(exchange: Exchange, { collection, item }: Place): Reading {
  const { status, headers, sent, method } = exchange;
  if (status === 409 || status === 410)
    return { claims: [], faults: ["without the receipt of a write"] };
  const id = item ?? (method === "PUT" ? (sent as Json | undefined)?.id : undefined);
  if (id === undefined) return { claims: [], faults: [] };
  const key = `${collection}/${id}`;
  const say = (state: StateClaim): Reading => {
    return { claims: [[key, { ...describeAnswer(exchange), state }]], faults: [] };
  };
  const { type } = (exchange.answered ?? {}) as { type?: string };
  if (status === 403 && type?.endsWith(":not-owner")) return say({ is: "taken" });
  if (status === 404 && method === "DELETE") return say({ is: "absent" });
  if (status !== 412) return { claims: [], faults: [] };
  if (headers["if-none-match"] !== undefined) return say({ is: "present" });
  // Of a list, any version may be the one that was possible.
  const version = /^\s*"([^"]*)"\s*$/.exec(headers["if-match"] ?? "")?.[1] ?? "";
  // What is no version, or an old one, can be refused whatever the item is.
  const mayBeInFlight =
    isWriteId(version) &&
    Date.now() - getWriteTime(version) < LEAST_RECEIPT_RETENTION_DAYS * DAY_MS - CLOCK_MS;
  return mayBeInFlight ? say({ is: "past", version }) : { claims: [], faults: [] };
}
