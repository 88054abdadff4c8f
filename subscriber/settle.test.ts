import assert from "node:assert/strict";
import { it } from "node:test";
import { data } from "../collections/data.ts";
import type { Pool } from "../common/database.ts";
import { createLogger } from "../common/telemetry/logger.ts";
import { encodeWrite } from "../common/write.ts";
import { getWriteTime, mintWriteId } from "../common/write-id.ts";
import { createSettle } from "./settle.ts";

const AWAY = Object.assign(new Error("away"), { code: "ECONNREFUSED" });
/** More attempts than there are after a stop; then the pool ends the loop with an error of its own. */
const MANY = 50;

const logger = await createLogger({
  service: "subscriber",
  projectId: "test",
  format: "pretty",
  level: "emerg",
});

/** Settles one write while MySQL is away; `onAttempt` is called as each attempt begins. */
async function settleWhileAway(holdMs: number, stop: AbortController, onAttempt: () => void) {
  let attempts = 0;
  const getConnection = async () => {
    attempts += 1;
    onAttempt();
    throw attempts > MANY ? new Error("It does not end.") : AWAY;
  };
  const pool = { getConnection } as unknown as Pool;
  const settle = createSettle({ pool, collections: [data], logger, holdMs, stop: stop.signal });
  const id = mintWriteId();
  const write = { id, kind: "delete" as const, collection: data, itemId: "x" };
  const message = encodeWrite({ ...write, acceptedAt: getWriteTime(id) });
  const decisions = await settle([{ ...message, messageId: "1" }]);
  return { decisions, attempts };
}

it("gives a batch back at a stop, without the rest of its pause", {
  timeout: 120_000,
}, async (t) => {
  // The jitter makes a pause of hours.
  t.mock.method(Math, "random", () => 1e6);
  const stop = new AbortController();
  const settled = await settleWhileAway(Number.MAX_SAFE_INTEGER, stop, () =>
    setImmediate(() => stop.abort()),
  );
  assert.deepEqual(settled.decisions, [AWAY]);
  assert.equal(settled.attempts, 2);
});

it("tries a batch once after a stop, and not at all again", async () => {
  const stop = new AbortController();
  stop.abort();
  const settled = await settleWhileAway(Number.MAX_SAFE_INTEGER, stop, () => {});
  assert.deepEqual(settled, { decisions: [AWAY], attempts: 1 });
});

it("gives a batch back before a pause that would pass the time to hold it", async () => {
  const settled = await settleWhileAway(0, new AbortController(), () => {});
  assert.deepEqual(settled, { decisions: [AWAY], attempts: 1 });
});
