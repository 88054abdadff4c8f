import type { Row } from "../../common/tables.ts";
import type { Stored } from "./settled-invariants.ts";

/** GET of a path. A status other than 200 is of an API or a MySQL that is away: it is tried again. */
export type Get = (path: string) => Promise<{ status: number; body: unknown }>;

type ListPage = { data: { id: string }[]; next: string | null };
type Change = { position: number; id: string; version: string; item: { id: string } | null };
type FeedPage = { data: Change[]; next: string };

/** Goes through a list, oldest first; at the end it reads the last page again, which may be longer then. */
export class ListReader {
  readonly #get: Get;
  readonly #path: string;
  readonly #read: string[] = [];
  #lastPage: string[] = [];
  #cursor = "";

  constructor(get: Get, collection: string, limit: number) {
    this.#get = get;
    this.#path = `/api/${collection}?limit=${limit}`;
  }

  /** The ids of the items, in the order in which they were read. */
  get ids(): string[] {
    return [...this.#read, ...this.#lastPage];
  }

  /** Reads a page; resolves to whether it was the last one. */
  async step(): Promise<boolean> {
    const { status, body } = await this.#get(
      this.#path + (this.#cursor && `&cursor=${this.#cursor}`),
    );
    if (status !== 200) return false;
    const { data, next } = body as ListPage;
    this.#lastPage = data.map(({ id }) => id);
    if (next === null) return true;
    this.#read.push(...this.#lastPage);
    this.#lastPage = [];
    this.#cursor = next;
    return false;
  }
}

/** Follows a feed from its beginning, and keeps the last state of each item. */
export class FeedReader {
  readonly states = new Map<string, Change>();
  /** What no reader may see, in sentences. */
  readonly faults: string[] = [];
  readonly #get: Get;
  readonly #path: string;
  #place = "";
  #last = 0;

  constructor(get: Get, collection: string, limit: number) {
    this.#get = get;
    this.#path = `/api/changes/${collection}?limit=${limit}`;
  }

  /** Reads a page; resolves to whether it was empty. */
  async step(): Promise<boolean> {
    const { status, body } = await this.#get(this.#path + (this.#place && `&since=${this.#place}`));
    if (status === 410) this.faults.push("the feed refuses a place that it has just given");
    if (status !== 200) return false;
    const { data, next } = body as FeedPage;
    for (const change of data) {
      if (change.position <= this.#last)
        this.faults.push(`the change ${change.position} comes after ${this.#last}`);
      this.#last = change.position;
      this.states.set(change.id, change);
    }
    this.#place = next;
    return data.length === 0;
  }
}

/** Steps a reader until it is at its end. */
export async function readToEnd(reader: { step(): Promise<boolean> }): Promise<void> {
  while (!(await reader.step()));
}

/**
 * Judges a reader that has gone through the whole list while it was written to, by what is stored then:
 * every item once, in the order of the creations, and once more for each earlier life that it had.
 */
export function judgeList(ids: readonly string[], { rows, receipts }: Stored): string[] {
  const faults: string[] = [];
  const lives = new Map<string, number>();
  const count = (id: string, created: boolean | null) =>
    lives.set(id, (lives.get(id) ?? 0) + Number(created === true));
  for (const { itemId, created } of receipts) count(itemId, created);
  for (const { id, created } of rows) count(id, created);
  for (const [id, times] of countTimes(ids)) {
    const most = lives.get(id) ?? 0;
    if (times > most) faults.push(`the list had ${id} ${times} times, which began ${most} times`);
  }
  const read = new Set(ids);
  const items = rows.filter(({ deletedAt }) => deletedAt === null);
  for (const { id } of items) if (!read.has(id)) faults.push(`the list has passed by ${id}`);
  const places = new Map(ids.map((id, place) => [id, place] as const));
  const inOrder = items
    .filter(({ id }) => read.has(id))
    .toSorted((one, other) => getCreation(one) - getCreation(other));
  inOrder.forEach(({ id }, index) => {
    const before = inOrder[index - 1]?.id;
    if (before !== undefined && (places.get(before) ?? 0) > (places.get(id) ?? 0))
      faults.push(`the list had ${id} before ${before}, which is older`);
  });
  return faults;
}

/** Judges a reader that has followed the whole feed: it knows every row, deletes included. */
export function judgeFeed({ states, faults }: FeedReader, rows: readonly Row[]): string[] {
  const found = [...faults];
  for (const { id, version, position, item } of rows) {
    const state = states.get(id);
    if (!state) found.push(`the feed has passed by ${id}`);
    else if (state.version !== version || state.position !== position)
      found.push(
        `the feed has ${id} at ${state.position}, ${state.version}; it is at ${position}, ${version}`,
      );
    else if ((state.item === null) !== (item === null))
      found.push(`the feed has ${id} as ${state.item ? "an item" : "deleted"}`);
  }
  if (states.size > rows.length) found.push(`the feed has ${states.size} items of ${rows.length}`);
  return found;
}

function countTimes(ids: readonly string[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const id of ids) times.set(id, (times.get(id) ?? 0) + 1);
  return times;
}

function getCreation({ createdPosition }: Row): number {
  return createdPosition ?? 0;
}
