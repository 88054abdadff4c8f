import { ClaimLog } from "../answers/claims.ts";
import type { Exchange } from "../answers/exchange.ts";
import { recordAnswer } from "../answers/record.ts";

/** A write that the API confirmed to a client. */
type Confirmed = {
  receipt: string;
  itemId: string;
  /** Whether an answer to GET of the receipt has shown that it is settled. */
  isShown: boolean;
};

/** The collections that clients write to. */
const COLLECTIONS = new Set(["data"]);

/** The confirmed writes, and what every answer said of its items. */
export class Ledger {
  readonly confirmed = new Map<string, Confirmed>();
  /** What was wrong with an answer, in sentences. */
  readonly violations: string[] = [];
  /** Answers by status; 0 for a connection that broke. */
  readonly answers = new Map<number, number>();
  /** Judged when everything is settled (check.ts). */
  readonly claims = new ClaimLog();
  readonly #order: string[] = [];

  accept(write: string, itemId: string, receipt: string): void {
    const known = this.confirmed.get(write);
    if (known && known.itemId !== itemId)
      this.violations.push(`the write ${write} was confirmed for two items`);
    if (known) return;
    this.confirmed.set(write, { receipt, itemId, isShown: false });
    this.#order.push(write);
  }

  count(status: number): void {
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
  }

  record(exchange: Exchange): void {
    this.violations.push(...recordAnswer(this.claims, exchange, COLLECTIONS));
  }

  /** One of the writes, by a number from 0 to 1. */
  pick(number: number): string | undefined {
    return this.#order[Math.floor(number * this.#order.length)];
  }
}
