import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findFallback, findUnfinished, planStages, withoutTraffic } from "./traffic.ts";
import {
  chooseFailed,
  chooseOld,
  findPredecessor,
  hasSafeLength,
  isOurs,
  nameVersion,
  parseCommit,
  type ServiceName,
  type Version,
} from "./versions.ts";

const [V1, V2, V3, V4] = ["1111111", "2222222", "3333333", "4444444"].map(
  (commit, day) => `v2026010${day + 1}-000000-${commit}`,
) as [string, string, string, string];
const OTHER = "20251231t120000";
const AGE = [OTHER, V1, V2, V3, V4];

/** Versions by service, with their percent; they are as old as their names say. */
function build(services: Record<ServiceName, Record<string, number>>): Version[] {
  return Object.entries(services).flatMap(([service, percents]) =>
    Object.entries(percents).map(([id, percent]) => ({
      service: service as ServiceName,
      id,
      share: percent / 100,
      createdAt: AGE.indexOf(id),
      url: "",
    })),
  );
}
const both = (percents: Record<string, number>) =>
  build({ default: percents, subscriber: percents });
const names = (versions: { service: string; id: string }[]) =>
  versions.map(({ service, id }) => `${service} ${id}`);

describe("the state of the traffic", () => {
  const find = (versions: Version[], isUnjudged = false) =>
    findUnfinished({ versions, isUnjudged });

  it("of a finished rollout: nothing is open", () => {
    assert.equal(find(both({ [V1]: 0, [V2]: 100 })), undefined);
    assert.equal(find([]), undefined);
    assert.equal(find(both({ [OTHER]: 100 })), undefined);
  });

  it("of a rollout that was cut off: which version it was of", () => {
    assert.equal(find(build({ subscriber: { [V1]: 90, [V2]: 10 }, default: { [V1]: 100 } })), V2);
    assert.equal(find(build({ subscriber: { [V2]: 100 }, default: { [V1]: 100 } })), V2);
    assert.equal(find(build({ subscriber: { [V2]: 100 }, default: { [V1]: 99, [V2]: 1 } })), V2);
    assert.equal(find(both({ [V1]: 0, [V2]: 100 }), true), V2, "the last verdict is missing");
    assert.equal(find(build({ subscriber: {}, default: { [V1]: 100 } })), V1, "the first deploy");
  });

  it("of where traffic goes back to", () => {
    const half = { subscriber: V1, default: V1 };
    assert.deepEqual(findFallback(both({ [V1]: 90, [V2]: 10 }), V2), half);
    const onlyDefault = build({
      subscriber: { [V1]: 0, [V2]: 100 },
      default: { [V1]: 50, [V2]: 50 },
    });
    assert.deepEqual(findFallback(onlyDefault, V2), half);
    const onlySubscriber = build({
      subscriber: { [V1]: 50, [V2]: 50 },
      default: { [V1]: 0, [V2]: 100 },
    });
    assert.deepEqual(findFallback(onlySubscriber, V2), half);
    assert.deepEqual(findFallback(both({ [V1]: 0, [V2]: 0, [V3]: 100 }), V3), {
      subscriber: V2,
      default: V2,
    });
    const none = { subscriber: undefined, default: undefined };
    assert.deepEqual(findFallback(both({ [V1]: 100 }), V1), none);
    assert.deepEqual(findFallback([], V1), none);
    assert.deepEqual(
      findFallback(build({ subscriber: { [V1]: 100 }, default: { [OTHER]: 100, [V1]: 0 } }), V1),
      { subscriber: undefined, default: OTHER },
    );
  });

  it("refuses a split between versions that are not of this rollout", () => {
    assert.throws(
      () => findFallback(both({ [OTHER]: 50, [V1]: 50 }), V2),
      /split between 20251231t120000 and v20260101-000000-1111111, which no rollout did/,
    );
  });

  it("of the steps that are left, the present one included", () => {
    const plan = (versions: Version[]) =>
      planStages(versions, V2, findFallback(versions, V2), { steps: [1, 10, 100] }).map(
        ({ service, percent }) => `${service} ${percent}`,
      );
    const [s1, s10, s100] = ["subscriber 1", "subscriber 10", "subscriber 100"];
    const [d1, d10, d100] = ["default 1", "default 10", "default 100"];
    const all = [s1, s10, s100, d1, d10, d100];
    assert.deepEqual(plan(both({ [V1]: 100, [V2]: 0 })), all);
    const at = (subscriber: number, inDefault: number) =>
      plan(
        build({
          subscriber: { [V1]: 100 - subscriber, [V2]: subscriber },
          default: { [V1]: 100 - inDefault, [V2]: inDefault },
        }),
      );
    assert.deepEqual(at(1, 0), all);
    assert.deepEqual(at(10, 0), all.slice(1));
    assert.deepEqual(at(100, 0), all.slice(2));
    assert.deepEqual(at(100, 1), all.slice(3));
    assert.deepEqual(at(100, 5), all.slice(4), "steps of another run");
    assert.deepEqual(at(100, 100), [d100]);
    assert.deepEqual(at(10, 10), all.slice(1), "the subscriber comes first");
    assert.deepEqual(plan(both({ [V2]: 100 })), [d100], "a first deployment has all at once");
    assert.deepEqual(plan(build({ subscriber: { [V2]: 100 }, default: { [V1]: 100, [V2]: 0 } })), [
      s100,
      d1,
      d10,
      d100,
    ]);
  });

  it("of how it is once a version is rolled back", () => {
    const before = build({
      subscriber: { [V1]: 0, [V2]: 100 },
      default: { [V1]: 90, [V2]: 10 },
    });
    const after = withoutTraffic(before, V2, findFallback(before, V2));
    assert.deepEqual(
      after,
      build({ subscriber: { [V1]: 100, [V2]: 0 }, default: { [V1]: 100, [V2]: 0 } }),
    );
  });
});

describe("the versions", () => {
  it("are named by time and commit", () => {
    const name = nameVersion(new Date("2026-11-21T15:04:00.789Z"), "0123456789abcdef");
    assert.equal(name, "v20261121-150400-0123456");
    assert.equal(parseCommit(name), "0123456");
    assert.ok(isOurs(name));
    for (const other of [OTHER, "v1", `${name}0`, "v20261121-150400-012345g"])
      assert.ok(!isOurs(other));
  });

  it("have addresses with a certificate up to 63 characters", () => {
    assert.ok(hasSafeLength(`${"a".repeat(63)}.uc.r.appspot.com`));
    assert.ok(!hasSafeLength(`${"a".repeat(64)}.uc.r.appspot.com`));
  });

  it("are pruned beyond the newest N, never with traffic, never another's", () => {
    const versions = both({ [OTHER]: 0, [V1]: 0, [V2]: 0, [V3]: 0, [V4]: 100 });
    assert.deepEqual(names(chooseOld(versions, 2)), [
      `subscriber ${V2}`,
      `subscriber ${V1}`,
      `default ${V2}`,
      `default ${V1}`,
    ]);
    assert.deepEqual(chooseOld(versions, 4), []);
    assert.deepEqual(names(chooseOld(both({ [V1]: 100, [V2]: 0, [V3]: 0, [V4]: 0 }), 2)), [
      `subscriber ${V2}`,
      `default ${V2}`,
    ]);
  });

  it("that were deployed after the running one and have no traffic, failed", () => {
    const versions = both({ [V1]: 0, [V2]: 100, [V3]: 0, [V4]: 0 });
    assert.deepEqual(names(chooseFailed(versions, V4)), [`subscriber ${V3}`, `default ${V3}`]);
    assert.deepEqual(chooseFailed(both({ [V1]: 0, [V2]: 100 }), V4), []);
    assert.deepEqual(names(chooseFailed(both({ [OTHER]: 100, [V1]: 0 }), V4)), [
      `subscriber ${V1}`,
      `default ${V1}`,
    ]);
  });

  it("go back to the newest older one that both services have", () => {
    assert.equal(findPredecessor(both({ [V1]: 0, [V2]: 0, [V3]: 100 }), V3), V2);
    const lone = build({
      subscriber: { [V1]: 0, [V3]: 100 },
      default: { [V1]: 0, [V2]: 0, [V3]: 100 },
    });
    assert.equal(findPredecessor(lone, V3), V1);
    assert.equal(findPredecessor(both({ [OTHER]: 0, [V1]: 100, [V2]: 0 }), V1), undefined);
  });
});
