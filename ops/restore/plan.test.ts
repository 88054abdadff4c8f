import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DAY_MS } from "../../common/limits.ts";
import { planRestore, type RestoreOptions, type SubscriptionState } from "./plan.ts";

const NOW_MS = Date.parse("2026-11-28T12:00:00Z");
const TIME_MS = Date.parse("2026-11-28T10:00:00Z");
const TIME = "2026-11-28T10:00:00.000Z";

describe("the plan of a restore", () => {
  const settle: SubscriptionState = {
    name: "settle",
    retainedMs: 14 * DAY_MS,
    unsettledMs: 7 * DAY_MS,
    push: undefined,
  };
  const database = { nowMs: NOW_MS, settledAtMs: TIME_MS - 1, feeds: 1, waiting: 0 };
  const plan = (
    options: Partial<RestoreOptions> = {},
    {
      subscription = {},
      ...found
    }: Partial<typeof database> & { subscription?: Partial<SubscriptionState> } = {},
  ) =>
    planRestore(
      { timeMs: TIME_MS, fromMs: undefined, isAgain: false, ...options },
      { ...database, ...found },
      [
        { ...settle, name: "dead", unsettledMs: 3 * DAY_MS },
        { ...settle, ...subscription },
      ],
      NOW_MS,
    );

  it("goes back to before everything that may have been unsettled at that time", () => {
    const { seekMs, obstacles } = plan();
    assert.equal(new Date(seekMs).toISOString(), "2026-11-21T09:59:00.000Z");
    assert.deepEqual(obstacles, []);
  });

  it("goes back less far where everything before is known to have been settled", () => {
    const fromMs = Date.parse("2026-11-28T09:59:00Z");
    assert.deepEqual([plan({ fromMs }).seekMs, plan({ fromMs }).obstacles], [fromMs, []]);
    assert.deepEqual(plan({ fromMs: fromMs + 1 }).obstacles, [
      `--from must be at least 60 s before ${TIME}: clocks differ, and what is older counts as settled.`,
    ]);
  });

  it("refuses a time in the future, by either clock", () => {
    const timeMs = NOW_MS + 1;
    assert.match(String(plan({ timeMs }).obstacles), /is in the future: MySQL's clock says/);
    assert.match(
      String(plan({ timeMs: NOW_MS - 5_000 }, { nowMs: NOW_MS - 5_001 }).obstacles),
      /is in the future: MySQL's clock says 2026-11-28T11:59:54\.999Z/,
    );
  });

  it("refuses where this machine's clock is wrong", () => {
    assert.deepEqual(plan({}, { nowMs: NOW_MS + 60_000 }).obstacles, []);
    assert.deepEqual(plan({}, { nowMs: NOW_MS + 61_000 }).obstacles, [
      "This machine's clock is 61 s behind MySQL's. Correct it first.",
    ]);
    assert.deepEqual(plan({}, { nowMs: NOW_MS - 61_000 }).obstacles, [
      "This machine's clock is 61 s ahead of MySQL's. Correct it first.",
    ]);
  });

  it("refuses a database that has settled writes since, unless it is sought again", () => {
    const found = { settledAtMs: TIME_MS + 60_001 };
    const [obstacle, ...others] = plan({}, found).obstacles;
    assert.match(
      String(obstacle),
      /^The database has a write that was settled at 2026-11-28T10:01:00\.001Z, after 2026-11-28T10:00:00\.000Z\. Either MYSQL_URL names a database that was not restored,/,
    );
    assert.deepEqual(others, []);
    assert.deepEqual(plan({ isAgain: true }, found).obstacles, []);
    assert.deepEqual(plan({}, { settledAtMs: TIME_MS + 60_000 }).obstacles, []);
  });

  it("refuses where Pub/Sub does not have any more what was lost, and says from when it has", () => {
    const after = (retainedMs: number) => plan({}, { subscription: { retainedMs } });
    assert.deepEqual(after(0).obstacles, [
      `Messages of settle are not kept once they are acknowledged: its topic has no message retention. What was settled after ${TIME} is lost.`,
    ]);
    assert.deepEqual(after(NOW_MS - TIME_MS).obstacles, []);
    assert.deepEqual(after(NOW_MS - TIME_MS - 1).obstacles, [
      `Messages of settle are kept since 2026-11-28T10:00:00.001Z only. What was accepted between ${TIME} and then is lost; to restore the rest, give that time.`,
    ]);
  });

  it("says which writes are not delivered again where less is kept than a write may have waited", () => {
    const after = (retainedMs: number) =>
      plan({}, { subscription: { retainedMs } }).notes.filter((note) => /not delivered/.test(note));
    assert.deepEqual(after(7 * DAY_MS), [
      `Messages of settle are kept since 2026-11-21T12:00:00.000Z. A write that was accepted before and still unsettled at ${TIME} is not delivered again.`,
    ]);
    assert.deepEqual(after(8 * DAY_MS), []);
  });

  it("refuses while Pub/Sub pushes, and says that it does not see who pulls", () => {
    const endpoint = "https://subscriber-dot-some-project.appspot.com/push";
    const push = { endpoint, account: "push@some-project", audience: "some-audience" };
    const command = "gcloud pubsub subscriptions modify-push-config settle --push-endpoint=";
    assert.deepEqual(plan({}, { subscription: { push } }).obstacles, [
      `Pub/Sub pushes settle to ${endpoint}, where a subscriber may still use another database. Pause it, and resume it once every subscriber uses this one:\n` +
        `  ${command}""\n` +
        `  ${command}${endpoint} --push-auth-service-account=push@some-project --push-auth-token-audience=some-audience`,
    ]);
    const withoutToken = { endpoint, account: "", audience: "" };
    assert.match(String(plan({}, { subscription: { push: withoutToken } }).obstacles), /\/push$/);
    assert.match(String(plan().notes), /Who pulls is not seen from here\./);
  });
});
