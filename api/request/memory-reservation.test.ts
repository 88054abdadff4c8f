import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { it } from "node:test";
import type { Response } from "express";
import { ByteBudget } from "../../common/byte-budget.ts";
import { ANSWER_DEADLINE_MS } from "../../common/limits.ts";
import { assertThrowsProblem } from "../../test/support/problems.ts";
import { MemoryReservation, NOTHING_ACCEPTED } from "./memory-reservation.ts";

const LIMIT = 100;

function start() {
  const budget = new ByteBudget(LIMIT);
  return { budget, memory: new MemoryReservation(budget) };
}

/** Asserts that exactly this many bytes are reserved: neither fewer nor more can be had. */
function assertReserved(budget: ByteBudget, bytes: number): void {
  assert.equal(budget.tryReserve(LIMIT - bytes + 1), false, `at least ${bytes} are reserved`);
  assert.equal(budget.tryReserve(LIMIT - bytes), true, `at most ${bytes} are reserved`);
  budget.release(LIMIT - bytes);
}

/** A response of which the client has yet to read this many bytes. */
function createResponse(writableLength: number) {
  let isDestroyed = false;
  const emitter = new EventEmitter();
  const destroy = () => {
    isDestroyed = true;
  };
  const response = Object.assign(emitter, { writableLength, destroy }) as unknown as Response;
  return { response, isDestroyed: () => isDestroyed };
}

it("releases at the close what was reserved, once", () => {
  const { budget, memory } = start();
  assert.equal(memory.tryReserve(30), true);
  memory.reserve(20);
  assertReserved(budget, 50);
  memory.close();
  assertReserved(budget, 0);
  memory.close();
  assertReserved(budget, 0);
});

it("refuses what exceeds the budget, and reserves nothing then", () => {
  const { budget, memory } = start();
  const other = new MemoryReservation(budget);
  memory.reserve(90);
  assert.equal(other.tryReserve(11), false);
  assertThrowsProblem(
    () => other.reserve(11),
    503,
    /^Too many large requests are under way\. Retry later\.$/,
  );
  assertThrowsProblem(
    () => other.reserve(11, NOTHING_ACCEPTED),
    503,
    /way\. Nothing was accepted\. Retry/,
  );
  other.close();
  assertReserved(budget, 90);
  memory.close();
  assertReserved(budget, 0);
});

it("releases once what is given up before the close", () => {
  const { budget, memory } = start();
  memory.reserve(60);
  memory.release();
  assertReserved(budget, 0);
  memory.reserve(10);
  memory.close();
  assertReserved(budget, 0);
});

it("reserves nothing after the close, before any work", () => {
  const { budget, memory } = start();
  memory.close();
  assert.equal(memory.tryReserve(1), false);
  assertThrowsProblem(() => memory.assertAvailable(), 503, /Retry later/);
  assertReserved(budget, 0);
});

it("keeps what is reserved while work goes on after the close", async () => {
  const { budget, memory } = start();
  memory.reserve(40);
  const result = await memory.keepDuring(async () => {
    memory.close();
    assertReserved(budget, 40);
    memory.reserve(10);
    assertReserved(budget, 50);
    return "done";
  });
  assert.equal(result, "done");
  assertReserved(budget, 0);
  assert.equal(memory.tryReserve(1), false);
});

it("releases after work that began after the close, and after work that failed", async () => {
  const { budget, memory } = start();
  memory.close();
  const failing = memory.keepDuring(async () => {
    memory.reserve(40);
    assertReserved(budget, 40);
    throw new Error("failed");
  });
  await assert.rejects(failing, /failed/);
  assertReserved(budget, 0);
});

it("keeps what is reserved after the work, until the close", async () => {
  const { budget, memory } = start();
  await memory.keepDuring(async () => memory.reserve(40));
  assertReserved(budget, 40);
  memory.close();
  assertReserved(budget, 0);
});

it("counts an unread answer past the limit, and refuses until it is read", () => {
  const { budget, memory } = start();
  const other = new MemoryReservation(budget);
  const { response } = createResponse(LIMIT + 50);
  memory.reserve(30);
  other.assertAvailable();
  memory.disconnectIfUnread(response);
  assertThrowsProblem(() => other.assertAvailable(), 503, /Retry later/);
  response.emit("close");
  memory.close();
  other.assertAvailable();
  assertReserved(budget, 0);
});

it("reserves an unread answer in place of what was reserved before", () => {
  const { budget, memory } = start();
  const { response } = createResponse(20);
  memory.reserve(30);
  memory.disconnectIfUnread(response);
  assertReserved(budget, 20);
  response.emit("close");
  memory.close();
  assertReserved(budget, 0);
});

it("disconnects a client that has not read its answer by the deadline", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const unread = createResponse(10);
  const read = createResponse(10);
  start().memory.disconnectIfUnread(unread.response);
  start().memory.disconnectIfUnread(read.response);
  read.response.emit("close");
  context.mock.timers.tick(ANSWER_DEADLINE_MS - 1);
  assert.equal(unread.isDestroyed(), false);
  context.mock.timers.tick(1);
  assert.equal(unread.isDestroyed(), true);
  assert.equal(read.isDestroyed(), false);
});

it("waits for no reading of an answer that is sent, or whose client has gone", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const sent = createResponse(0);
  const gone = createResponse(LIMIT);
  start().memory.disconnectIfUnread(sent.response);
  const { budget, memory } = start();
  memory.close();
  memory.disconnectIfUnread(gone.response);
  assertReserved(budget, 0);
  context.mock.timers.tick(ANSWER_DEADLINE_MS);
  assert.equal(sent.isDestroyed() || gone.isDestroyed(), false);
});
