import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer } from "./api.ts";
import { Failure } from "./failure.ts";
import { awaitReady } from "./smoke.ts";

const QUICKLY = { withinMs: 60_000, lookMs: 1 };
const READY = answer(200, { ready: true });
const REFUSED = new Failure("GET http://new/health/ready got no response (ECONNREFUSED).");
const { signal: GOES_ON } = new AbortController();

describe("the wait for a new version", () => {
  it("goes on while App Engine does not know the service yet", async () => {
    const early = [REFUSED, answer(404), answer(502), answer(503), answer(500), REFUSED];
    const asked = await askInTurn([...early, READY]);
    assert.equal(asked, early.length + 1);
  });

  it("ends at an answer of the version itself", async () => {
    for (const [status, body] of [
      [404, { title: "Not Found" }],
      [401, {}],
      [302, {}],
    ] as const)
      await assert.rejects(
        askInTurn([answer(status, body), READY]),
        new RegExp(`GET /health/ready returned ${status} instead of 200`),
      );
  });

  it("ends at its limit, with what it found last", async () => {
    const past = { withinMs: -1, lookMs: 1 };
    await assert.rejects(askInTurn([answer(404), READY], past), /returned 404 instead of 200/);
    await assert.rejects(askInTurn([REFUSED, READY], past), /got no response \(ECONNREFUSED\)/);
  });

  it("ends at a signal", async () => {
    const stop = AbortSignal.abort(new Error("interrupted"));
    await assert.rejects(
      awaitReady(async () => answer(503), stop, QUICKLY),
      /interrupted/,
    );
  });
});

function answer(status: number, body: Answer["body"] = {}): Answer {
  return { status, headers: new Headers(), body };
}

/** Waits for a version that answers so, in turn; returns how often it was asked. */
async function askInTurn(answers: (Answer | Error)[], limits = QUICKLY): Promise<number> {
  let asked = 0;
  const api = async () => {
    const next = answers[asked] ?? assert.fail("asked too often");
    asked += 1;
    if (next instanceof Error) throw next;
    return next;
  };
  await awaitReady(api, GOES_ON, limits);
  return asked;
}
