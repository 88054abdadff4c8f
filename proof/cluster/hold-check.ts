import assert from "node:assert/strict";
import { assertNoOverlap } from "../../test/support/hold-schedules.ts";
import { collectOutcomes } from "../../test/support/settled-invariants.ts";
import { selectStored } from "../../test/support/snapshot.ts";
import { berths } from "../support/holds.ts";
import type { ChaosCluster } from "./chaos-cluster.ts";

/** Fewer prove little, unless most of the run was an outage. */
const ENOUGH_HOLDS = 3;

/**
 * Checks that each write to a berth is settled once, and that no two subjects were told that they held
 * a berth at one time of Pub/Sub's clock. Returns the violations, in sentences.
 */
export async function checkHolds({ database, witness }: ChaosCluster): Promise<string[]> {
  const { writes, messages } = witness;
  const held = [...writes.values()].filter(({ collection }) => collection.name === berths.name);
  const violations: string[] = [];
  let applied = 0;
  for (const group of Map.groupBy(held, ({ itemId }) => itemId).values())
    try {
      const outcomes = collectOutcomes(group, await selectStored(database.pool, berths, group));
      const own = group.filter(({ id }) => outcomes.get(id) === "applied");
      applied += own.length;
      assertNoOverlap(own.flatMap(({ id }) => messages.get(id) ?? []));
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error;
      violations.push(error.message.replace(/\s+/g, " "));
    }
  if (applied < ENOUGH_HOLDS) violations.push(`only ${applied} writes to berths were applied`);
  return violations;
}
