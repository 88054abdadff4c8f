import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { createServer, get, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { data } from "../collections/data.ts";
import { MAX_RECEIPT_WAITS } from "../common/limits.ts";
import type { Receipt } from "../common/receipts.ts";
import { until } from "../test/support/until.ts";
import { Problem } from "./answer/problem.ts";
import type { Reader } from "./reader.ts";
import { createReceiptWaits } from "./receipt-waits.ts";

const KEY = { collection: data, itemId: "x", write: "w" };
const RECEIPT = { write: "w" } as Receipt;
const NEVER = new Promise<never>(() => {});
const FAR_AHEAD_MS = 3_600_000;

type Read = Reader["receipt"];

function start(read: Read) {
  const stop = new AbortController();
  let reads = 0;
  const receipt: Read = (...key) => {
    reads += 1;
    return read(...key);
  };
  const waits = createReceiptWaits({ reader: { receipt } as Reader, stop: stop.signal });
  const response = { closed: false } as { closed: boolean } & ServerResponse;
  const wait = (waitMs = FAR_AHEAD_MS) => waits.wait(KEY, performance.now() + waitMs, response);
  return { stop, response, wait, countReads: () => reads };
}

it("ends with the receipt once the write is settled", async () => {
  let polls = 0;
  const { wait } = start(async () => {
    polls += 1;
    return { receipt: polls < 4 ? undefined : RECEIPT, row: undefined };
  });
  assert.deepEqual(await wait(), { receipt: RECEIPT, row: undefined });
  assert.equal(polls, 4);
});

it("goes on while MySQL is away", async () => {
  let polls = 0;
  const { wait } = start(async () => {
    polls += 1;
    if (polls < 4) throw new Problem("unavailable", "The database does not respond.");
    return { receipt: RECEIPT, row: undefined };
  });
  assert.equal((await wait())?.receipt, RECEIPT);
});

it("rejects with an error that is not MySQL's absence", async () => {
  const { wait } = start(() => Promise.reject(new TypeError("a mistake")));
  await assert.rejects(wait(), TypeError);
});

it("ends in time though no read is answered", async () => {
  const { wait } = start(() => NEVER);
  assert.equal(await wait(20), undefined);
  assert.equal(await wait(-1), undefined);
});

for (const [what, read] of [
  ["reads are answered", async () => ({ receipt: undefined, row: undefined })],
  ["no read is", () => NEVER],
] as [string, Read][]) {
  it(`ends when the process stops, while ${what}`, async () => {
    const { wait, stop } = start(read);
    const waiting = Array.from({ length: 100 }, () => wait());
    assert.deepEqual(getEventListeners(stop.signal, "abort"), []);
    stop.abort();
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set([undefined]));
  });

  it(`ends when its client has gone, while ${what}`, async () => {
    const { wait, response, countReads } = start(read);
    const waiting = wait();
    await until("it waits", () => countReads() > 0);
    response.closed = true;
    assert.equal(await waiting, undefined);
    const reads = countReads();
    await wait(1);
    assert.equal(countReads(), reads + 1, "nothing is read for it any more");
  });
}

it("looks once where too many wait, until some have ended", async () => {
  let isSettled = false;
  const { wait, countReads } = start(async () => ({
    receipt: isSettled ? RECEIPT : undefined,
    row: undefined,
  }));
  const waiting = Array.from({ length: MAX_RECEIPT_WAITS }, () => wait());
  const reads = countReads();
  assert.equal(await wait(), undefined);
  assert.equal(countReads() - reads, 1);
  isSettled = true;
  assert.equal((await wait())?.receipt, RECEIPT);
  await Promise.all(waiting);
  isSettled = false;
  const again = wait();
  isSettled = true;
  assert.equal((await again)?.receipt, RECEIPT);
});

it("knows by Node's own response that a client has gone", async () => {
  const responses = Promise.withResolvers<ServerResponse>();
  const server = createServer((_request, response) => responses.resolve(response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = get({ port: (server.address() as AddressInfo).port }).on("error", () => {});
  const response = await responses.promise;
  assert.equal(response.closed, false);
  client.destroy();
  await until("it is closed", () => response.closed);
  server.close();
});
