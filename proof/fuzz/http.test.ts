import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createFuzzEnvironment, type FuzzEnvironment } from "./environment.ts";
import { fuzz } from "./http.ts";

/** Always the same requests, so that a new failure is a change's. */
const FIRST_SEED = 1;
/** `npm run proof -- fuzz` sends a hundred thousand. */
const REQUESTS = 3_000;

let environment: FuzzEnvironment;
before(async () => {
  environment = await createFuzzEnvironment();
});
after(() => environment.close());

it(`answers ${REQUESTS} hostile requests as its document says, and refuses without a trace`, async () => {
  const result = await fuzz({ environment, seed: FIRST_SEED, requests: REQUESTS });
  assert.deepEqual(result.faults, [], result.faults.join("\n"));
  assert.ok(result.sent >= REQUESTS);
  // If everything were refused, nothing would be found.
  for (const status of [200, 202, 207, 400, 401, 404, 405, 410, 412, 415, 422, 431])
    assert.ok(
      result.statuses[status],
      `no answer was ${status}: ${JSON.stringify(result.statuses)}`,
    );
  assert.ok(result.confirmed > REQUESTS / 20, `${result.confirmed} writes were accepted`);
});
