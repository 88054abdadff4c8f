import type { Response } from "express";
import type { ByteBudget } from "../../common/byte-budget.ts";
import { ANSWER_DEADLINE_MS } from "../../common/limits.ts";
import { Problem } from "../answer/problem.ts";

/**
 * What one request has reserved of the bytes that all requests share. It is released once the answer
 * is sent, or the client has gone, and the request's work is over.
 */
export class MemoryReservation {
  readonly #budget: ByteBudget;
  #bytes = 0;
  #isWorking = false;
  #isClosed = false;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** Reserves more bytes; false where there are not enough, or the client has gone. */
  tryReserve(bytes: number): boolean {
    const isOver = this.#isClosed && !this.#isWorking;
    if (isOver || !this.#budget.tryReserve(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  /** As {@link tryReserve}, but throws a 503 Problem; `effect` says what became of the request. */
  reserve(bytes: number, effect = ""): void {
    if (!this.tryReserve(bytes)) throw tooManyBytes(effect);
  }

  /** Throws a 503 Problem while unread answers fill the budget, or where the client has gone. */
  assertAvailable(): void {
    this.reserve(0);
  }

  release(): void {
    this.#budget.release(this.#bytes);
    this.#bytes = 0;
  }

  /** Keeps what is reserved until `work` is over, also where the client has gone before. */
  async keepDuring<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#isWorking = true;
    try {
      return await work();
    } finally {
      this.#isWorking = false;
      if (this.#isClosed) this.release();
    }
  }

  /** To be called once the response is closed. */
  close(): void {
    this.#isClosed = true;
    if (!this.#isWorking) this.release();
  }

  /**
   * To be called once the answer is sent and nothing else of the request is in memory. Reserves what
   * the client has not read yet of the answer instead of what was reserved before, and disconnects the
   * client where it has not read all by {@link ANSWER_DEADLINE_MS}. The next request that needs bytes
   * is refused where these are too many.
   */
  disconnectIfUnread(response: Response): void {
    const { writableLength } = response;
    if (this.#isClosed) return;
    this.release();
    if (writableLength === 0) return;
    this.#budget.forceReserve(writableLength);
    this.#bytes = writableLength;
    const timer = setTimeout(() => response.destroy(), ANSWER_DEADLINE_MS);
    response.once("close", () => clearTimeout(timer));
  }
}

/** What writes may reserve together, and reads: clients that read slowly do not keep others from writing. */
export type Budgets = { writes: ByteBudget; reads: ByteBudget };

/** 503: the requests under way hold as many bytes as they may. */
export function tooManyBytes(effect: string): Problem {
  return new Problem("unavailable", `Too many large requests are under way.${effect} Retry later.`);
}

/** The effect of a write that is refused before anything of it is published. */
export const NOTHING_ACCEPTED = " Nothing was accepted.";
