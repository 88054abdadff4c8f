/** A receipt as the API shows it. */
export type ShownReceipt = {
  status: string;
  outcome: string | null;
  settledAt: string | null;
  reason: string | null;
};

/** A write that the API confirmed to a client; `shown` and `promised` are outcomes that it answered. */
type Confirmed = { receipt: string; itemId: string; shown?: string; promised?: string };

/** The confirmed writes, and the outcomes that clients were shown, which must never change afterwards. */
export class Ledger {
  readonly confirmed = new Map<string, Confirmed>();
  /** What was wrong with an answer, in sentences. */
  readonly violations: string[] = [];
  /** Answers by status; 0 for a connection that broke. */
  readonly answers = new Map<number, number>();
  readonly #order: string[] = [];

  /** `promised`: the outcome in the answer itself, to a client that waited. */
  accept(write: string, itemId: string, receipt: string, promised: string | undefined): void {
    const known = this.confirmed.get(write);
    if (known && known.itemId !== itemId)
      this.violations.push(`the write ${write} was confirmed for two items`);
    if (known) return;
    this.confirmed.set(write, { receipt, itemId, ...(promised ? { promised } : {}) });
    this.#order.push(write);
  }

  count(status: number): void {
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
  }

  /** One of the writes, by a number from 0 to 1. */
  pick(number: number): string | undefined {
    return this.#order[Math.floor(number * this.#order.length)];
  }

  /**
   * Notes an answer to GET of a receipt. `before` is what was known when the request was sent,
   * since answers may arrive in another order.
   */
  show(write: string, status: number, receipt: ShownReceipt | undefined, before?: string): void {
    const confirmed = this.confirmed.get(write) as Confirmed;
    if (status === 0 || status === 503) return;
    if (status !== 200 || !receipt)
      return void this.violations.push(`the receipt of ${write} was answered ${status}`);
    const { outcome, settledAt, reason } = receipt;
    const shown = receipt.status === "settled" ? `${outcome} at ${settledAt}` : undefined;
    const known = shown === undefined ? before : confirmed.shown;
    if (known !== undefined && known !== shown)
      this.violations.push(`the receipt of ${write} was ${known}, then ${shown}`);
    if (shown !== undefined && outcome !== "applied" && outcome !== "duplicate" && !reason)
      this.violations.push(`the write ${write} is ${outcome} without a reason`);
    if (shown !== undefined) confirmed.shown = shown;
  }
}
