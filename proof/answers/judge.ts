import { isDeepStrictEqual } from "node:util";
import type { Item } from "../../common/item-check.ts";
import type { Receipt } from "../../common/receipts.ts";
import type { Write } from "../../common/write.ts";
import { type Claim, formatItem, type SentWrite, type StateClaim } from "./claims.ts";

/** What became of one item, once everything is settled. */
export type ItemHistory = {
  /** The writes of the item that were published, by id. */
  writes: ReadonlyMap<string, Write>;
  /** The stored receipts by write id, also of other items. */
  receipts: ReadonlyMap<string, Receipt>;
};

/** A state of the item: what an applied write made of it. Undefined before the first one. */
type State = { id: string; item: string | undefined } | undefined;

/**
 * When the item was in each of its states. Versions are applied in the order of their ids, so state
 * `n` began between `notBefore[n]`, when the request of its write or of an older one was sent, and
 * `notAfter[n]`, when an answer that shows it or a newer one was read.
 */
type Timeline = { states: State[]; notBefore: number[]; notAfter: number[] };

/**
 * Judges what answers said of one item by its history. Returns what is wrong, in sentences.
 *
 * An answer is right if the item can have been in the state that it shows at some moment between the
 * request and the answer. What can have been is narrowed by all other answers: once one has shown a
 * version, or the receipt of a write, no later request may be answered with less.
 */
export function judgeItem(history: ItemHistory, claims: readonly Claim[]): string[] {
  const timeline = buildTimeline(history, claims);
  const settledBy = findSettledTimes(timeline, claims);
  return claims.flatMap((claim) => {
    const faults = [
      claim.sent && judgeSent(claim.sent, history),
      judgeReceipt(claim, history, settledBy),
      judgeState(claim, history, timeline),
    ];
    return faults
      .filter((fault) => fault !== undefined)
      .map((fault) => `${claim.answer}: ${fault}`);
  });
}

function buildTimeline(history: ItemHistory, claims: readonly Claim[]): Timeline {
  const { writes, receipts } = history;
  const applied = [...writes.values()]
    .filter(({ id }) => receipts.get(id)?.outcome === "applied")
    .sort((one, other) => (one.id < other.id ? -1 : 1));
  const states: State[] = [
    undefined,
    ...applied.map(({ id, item }) => ({ id, item: item && formatItem(keepOwner(item, applied)) })),
  ];
  const sentAt = new Map(claims.map(({ sent, fromMs }) => [sent?.write ?? "", fromMs]));
  const notBefore = states.map((state) => (state && sentAt.get(state.id)) ?? -Infinity);
  const notAfter = states.map(() => Infinity);
  for (const claim of claims) {
    const place = findShownState(claim, states, history);
    notAfter[place] = Math.min(notAfter[place] as number, claim.toMs);
  }
  for (let n = 1; n < states.length; n += 1) {
    const m = states.length - 1 - n;
    notBefore[n] = Math.max(notBefore[n] as number, notBefore[n - 1] as number);
    notAfter[m] = Math.min(notAfter[m] as number, notAfter[m + 1] as number);
  }
  return { states, notBefore, notAfter };
}

/** Whoever has written it, an item has the owner that its first applied write has named. */
function keepOwner(item: Item, [first]: readonly Write[]): Item {
  const field = first?.collection.owner;
  return field === undefined ? item : { ...item, [field]: first?.item?.[field] };
}

/** The oldest state that the item can have been in when this answer was read. */
function findShownState(claim: Claim, states: readonly State[], history: ItemHistory): number {
  const shown = [findByState(claim.state, states), findByReceipt(claim, states, history)];
  return Math.max(0, ...shown);
}

function findByState(claimed: StateClaim | undefined, states: readonly State[]): number {
  if (!claimed || claimed.is === "absent") return 0;
  if (claimed.is === "past")
    return states.findIndex((state) => state && state.id >= claimed.version);
  return states.findIndex((state) => fits(state, claimed));
}

function findByReceipt({ receipt }: Claim, states: readonly State[], { receipts }: ItemHistory) {
  if (receipt?.is !== "settled") return 0;
  const outcome = receipts.get(receipt.write)?.outcome;
  if (outcome === "duplicate") return 1;
  if (outcome !== "applied" && outcome !== "superseded") return 0;
  return states.findIndex((state) => state && state.id >= receipt.write);
}

/** When each write is first known to have been settled, as far as any answer says so. */
function findSettledTimes({ states, notAfter }: Timeline, claims: readonly Claim[]) {
  const times = new Map(states.map((state, n) => [state?.id, notAfter[n] as number]));
  for (const { receipt, toMs } of claims)
    if (receipt?.is === "settled")
      times.set(receipt.write, Math.min(times.get(receipt.write) ?? Infinity, toMs));
  return times;
}

/** What was published is what was sent. */
function judgeSent(sent: SentWrite, { writes }: ItemHistory): string | undefined {
  const published = writes.get(sent.write);
  if (!published) return `the write ${sent.write} was never published for this item`;
  const item = published.item && formatItem(published.item);
  // The API names the owner where the client has not.
  const { owner = "" } = published.collection;
  const { [owner]: _, ...anonymous } = published.item ?? {};
  const isItemSame = sent.item === item || (owner !== "" && sent.item === formatItem(anonymous));
  const isSame =
    published.kind === sent.kind &&
    (sent.item === undefined || isItemSame) &&
    (published.ifNoneMatch ?? false) === sent.ifNoneMatch &&
    isSameMatch(published.ifMatch, sent);
  if (isSame) return undefined;
  const { kind, ifMatch, ifNoneMatch } = published;
  return `${JSON.stringify(sent)} was sent, and ${JSON.stringify({ kind, item, ifMatch, ifNoneMatch })} was published`;
}

function isSameMatch(published: string | undefined, { ifMatch, isDated }: SentWrite): boolean {
  if (published === undefined) return ifMatch === undefined && !isDated;
  return ifMatch === undefined ? isDated : ifMatch.includes(published);
}

/** A receipt agrees with the stored one, is there once the write is settled, and never changes. */
function judgeReceipt(
  { receipt: claimed, fromMs }: Claim,
  { writes, receipts }: ItemHistory,
  settledBy: ReadonlyMap<string | undefined, number>,
): string | undefined {
  if (!claimed) return undefined;
  const { write } = claimed;
  const isKnown = writes.has(write);
  if (claimed.is === "unknown") return isKnown ? `the write ${write} exists` : undefined;
  if (claimed.is === "in flight")
    return (settledBy.get(write) ?? Infinity) < fromMs
      ? `the write ${write} was shown as settled before`
      : undefined;
  const stored = receipts.get(write);
  if (!isKnown || !stored) return `the write ${write} of this item is not settled`;
  if (claimed.outcomes && !claimed.outcomes.includes(stored.outcome))
    return `the write ${write} is ${stored.outcome}, and not ${claimed.outcomes.join(" or ")}`;
  const members = listMembers(stored);
  const wrong = Object.entries(claimed.members ?? {}).find(([name, value]) => {
    return !isDeepStrictEqual(members[name], value);
  });
  if (!wrong) return undefined;
  const [name, value] = wrong;
  return `the ${name} of the write ${write} is ${members[name]}, and not ${value}`;
}

/** A receipt's members, as the README describes them. */
function listMembers(stored: Receipt): Record<string, unknown> {
  const { outcome, code, write, created, position, reason, acceptedAt, settledAt, trace } = stored;
  return {
    outcome,
    code,
    version: outcome === "applied" ? write : null,
    created,
    position,
    reason,
    acceptedAt: new Date(acceptedAt).toISOString(),
    settledAt: new Date(settledAt).toISOString(),
    lagMs: Math.max(0, settledAt - acceptedAt),
    trace,
  };
}

/**
 * The item can have been in the claimed state at some moment of the interval. In an answer that
 * shows the receipt of an applied or superseded write, the state is not older than that write.
 */
function judgeState(
  { state: claimed, receipt, fromMs, toMs }: Claim,
  { receipts }: ItemHistory,
  { states, notBefore, notAfter }: Timeline,
): string | undefined {
  if (!claimed) return undefined;
  const outcome = receipt?.is === "settled" ? receipts.get(receipt.write)?.outcome : undefined;
  const least = outcome === "applied" || outcome === "superseded" ? receipt?.write : undefined;
  const possible = states.filter((state, n) => {
    const isOver = (notAfter[n + 1] ?? Infinity) < fromMs;
    return !isOver && (notBefore[n] as number) <= toMs && (state?.id ?? "") >= (least ?? "");
  });
  if (possible.some((state) => fits(state, claimed))) return undefined;
  return `the item cannot have been ${describeClaim(claimed)}; it was ${describeStates(possible)}`;
}

function fits(state: State, claimed: StateClaim): boolean {
  if (!state || claimed.is === "absent") return !state && claimed.is === "absent";
  if (claimed.is === "taken") return true;
  if (claimed.is === "past")
    return state.id > claimed.version || (state.id === claimed.version && state.item === undefined);
  if (claimed.version !== undefined && claimed.version !== state.id) return false;
  if (claimed.is === "deleted") return state.item === undefined;
  return state.item !== undefined && (claimed.item ?? state.item) === state.item;
}

function describeClaim(claimed: StateClaim): string {
  const { is, version, item } = { version: "", item: "", ...claimed };
  return [is, version && `at ${version}`, item && `with ${item}`].filter(Boolean).join(" ");
}

const SHOWN_STATES = 3;

function describeStates(states: readonly State[]): string {
  const shown = states.slice(0, SHOWN_STATES).map((state) => {
    if (!state) return "absent";
    return `${state.item === undefined ? "deleted" : state.item} at ${state.id}`;
  });
  if (states.length > SHOWN_STATES) shown.push(`${states.length - SHOWN_STATES} more`);
  return shown.join(", or ") || "in no state by then";
}
