import type { Response } from "express";
import type { Config } from "../../common/config.ts";
import { CONDITION_WAIT_MS, FOLLOWING_WRITES } from "../../common/limits.ts";
import { mustFindItem } from "../../common/owner.ts";
import type { ReceiptKey } from "../../common/receipts.ts";
import { isVersionNamed, type Write } from "../../common/write.ts";
import { Problem } from "../answer/problem.ts";
import type { Reader } from "../reader.ts";
import { identifyClient } from "./client-address.ts";
import type { KnownRow } from "./conditions.ts";
import { mayBeFree } from "./expiry.ts";
import { NOTHING_ACCEPTED } from "./memory-reservation.ts";

/** The writes of one caller that may wait, by id, and the times until which they count. */
type Following = {
  writes: Map<string, { key: ReceiptKey; untilMs: number }>;
  /** One look at their receipts at a time. */
  looking?: Promise<void> | undefined;
  /** Until when no other look is worth it: the last one found nothing settled. */
  coolUntilMs: number;
};

/**
 * Bounds the writes of a caller that follow one which is not settled, as far as is known. Whether it
 * is in flight, or was made up, only settlement finds out, which waits for it; each write that waits is
 * given back to Pub/Sub again and again, and slows a push subscription for everybody.
 *
 * A write counts until it is settled, which is looked up only where a caller has reached the bound, and
 * for {@link CONDITION_WAIT_MS} at most. All times are of `performance.now()`.
 */
export class FollowingWrites {
  readonly #reader: Pick<Reader, "receipt">;
  readonly #source: Config["CLIENT_ADDRESS"];
  /** By caller; those that have come first are forgotten first. */
  readonly #byCaller = new Map<string, Following>();

  constructor(reader: Pick<Reader, "receipt">, config: Pick<Config, "CLIENT_ADDRESS">) {
    this.#reader = reader;
    this.#source = config.CLIENT_ADDRESS;
  }

  /** Counts a write before it is published. Throws 503 where the caller has too many. */
  async add(response: Response, { collection, itemId, id }: Write): Promise<void> {
    const following = this.#get(identifyClient(response, this.#source));
    const { writes } = following;
    if (writes.size >= FOLLOWING_WRITES.perCaller) await this.#look(following);
    if (writes.size >= FOLLOWING_WRITES.perCaller)
      throw new Problem(
        "unavailable",
        `Of your writes, ${writes.size} wait for others that are not settled.${NOTHING_ACCEPTED}`,
      );
    const key = { collection, itemId, write: id };
    writes.set(id, { key, untilMs: performance.now() + CONDITION_WAIT_MS });
  }

  /** Counts a write no more that could not be published. */
  forget(response: Response, { id }: Write): void {
    this.#byCaller.get(identifyClient(response, this.#source))?.writes.delete(id);
  }

  #get(caller: string): Following {
    const known = this.#byCaller.get(caller);
    if (known) return known;
    if (this.#byCaller.size >= FOLLOWING_WRITES.callers)
      this.#byCaller.delete(this.#byCaller.keys().next().value as string);
    const following: Following = { writes: new Map(), coolUntilMs: 0 };
    this.#byCaller.set(caller, following);
    return following;
  }

  /** Forgets the writes that are settled, or do not count any more. */
  async #look(following: Following): Promise<void> {
    const nowMs = performance.now();
    for (const [id, { untilMs }] of following.writes)
      if (untilMs <= nowMs) following.writes.delete(id);
    if (following.writes.size < FOLLOWING_WRITES.perCaller || nowMs < following.coolUntilMs) return;
    following.looking ??= this.#forgetSettled(following).finally(() => {
      following.looking = undefined;
    });
    await following.looking;
  }

  async #forgetSettled(following: Following): Promise<void> {
    const { writes } = following;
    const countBefore = writes.size;
    await Promise.all(
      [...writes].map(async ([id, { key }]) => {
        const { receipt } = await this.#reader.receipt(key.collection, key.itemId, key.write);
        if (receipt) writes.delete(id);
      }),
    );
    if (writes.size === countBefore)
      following.coolUntilMs = performance.now() + FOLLOWING_WRITES.coolDownMs;
  }
}

/**
 * Whether a write may have to wait for another one that may be in flight: it names a version that its
 * item's row does not have, or deletes an item that is not there, or that may be nobody's by then.
 */
export function mayWait(write: Write, row: KnownRow, after: string | undefined): boolean {
  if (row === "unknown") return false;
  if (isVersionNamed(write)) return row?.version !== write.ifMatch;
  if (!row) return after !== undefined;
  return mustFindItem(write) && mayBeFree(row);
}
