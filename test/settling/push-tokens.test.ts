import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { forgeries } from "../../proof/fuzz/forged-tokens.ts";
import { wrongPushClaims } from "../../proof/fuzz/wrong-push-claims.ts";
import { createVerifier, type VerifyPush } from "../../subscriber/push.ts";
import { AUDIENCE, SERVICE_ACCOUNT, startPusher } from "../support/pusher.ts";

/** Enough for each kind of forgery; `FORGED_TOKENS` runs more. */
const FORGED = Number(process.env.FORGED_TOKENS || 2_000);
const SEED = Number(process.env.FUZZ_SEED || 1);

describe("a push's token", () => {
  let pusher: Awaited<ReturnType<typeof startPusher>>;
  let verify: VerifyPush;

  const createOne = () => {
    const certsUrl = pusher.env.PUSH_CERTS_URL;
    return createVerifier({ audience: AUDIENCE, serviceAccount: SERVICE_ACCOUNT, certsUrl });
  };

  before(async () => {
    pusher = await startPusher();
    verify = createOne();
  });
  after(() => pusher.close());

  it(`is refused in each of ${FORGED} forgeries, and taken as it was signed`, async () => {
    const valid = pusher.token();
    // It is known from here on, so that what the verifier remembers is put to the test, too.
    assert.equal(await verify(`Bearer ${valid}`), true);
    const tried = new Set<string>();
    await fc.assert(
      fc.asyncProperty(forgeries(wrongPushClaims()), async ({ what, make }) => {
        const authorization = make(valid, pusher);
        fc.pre(authorization !== `Bearer ${valid}` && !tried.has(authorization));
        tried.add(authorization);
        assert.equal(await verify(authorization), false, what);
      }),
      { numRuns: FORGED, seed: SEED, endOnFailure: true, maxSkipsPerRun: 100 },
    );
    assert.equal(tried.size, FORGED);
    assert.equal(await verify(`Bearer ${valid}`), true);
    assert.equal(await createOne()(`Bearer ${valid}`), true);
  });

  it("is itself in one spelling only, though the last character has bits to spare", async () => {
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const valid = pusher.token();
    const taken: string[] = [];
    for (const letter of letters)
      if (await verify(`Bearer ${valid.slice(0, -1)}${letter}`)) taken.push(letter);
    assert.deepEqual(taken, [valid.at(-1)]);
  });
});
