import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { visits } from "../collections/visits.ts";
import { startApi } from "../support/api.ts";
import { publishByHand } from "../support/http.ts";

const WAIT = { prefer: "wait=20" };
const ITEMS = 6;

/**
 * Writes that were accepted before a traversal and are settled while it goes on. Without a feed, lists are
 * in the order of acceptance (docs/decisions/2026-11-21-lists-in-order-of-creation.md), so that an item
 * that is created late may be missed; with one they are exact. An item that is there stays in its place.
 */
for (const [collection, field] of [
  [data, "nombre"],
  [visits, "name"],
] as const)
  describe(`a traversal of ${collection.feed ? "a collection with a feed" : "a list"}, while a write that was accepted earlier is settled`, () => {
    const path = `/api/${collection.name}`;
    const { environment, api } = startApi({ collections: [data, visits], subscriber: true });

    /** Creates items one after the other, with an older write of each in reserve; the items' ids. */
    async function createItems(name: string): Promise<{ ids: string[]; older: string }> {
      const older = mintWriteId();
      const ids = Array.from({ length: ITEMS }, (_, index) => `${name}-${index}`);
      for (const id of ids) await api.put(`${path}/${id}`, { [field]: id }, WAIT);
      return { ids, older };
    }

    /** Delivers a put that was accepted before all items of this test. */
    async function deliverLate(itemId: string, id: string): Promise<void> {
      const item = { [field]: "late" };
      const acceptedAt = getWriteTime(id);
      await publishByHand(environment, [
        encodeWrite({ id, kind: "put", collection, itemId, item, acceptedAt }),
      ]);
      await api.settled(`${path}/${itemId}/writes/${id}`);
    }

    /** Reads all pages; `afterFirst` runs after the first one. The ids of this test's items. */
    async function walk(order: string, name: string, afterFirst: (ids: string[]) => Promise<void>) {
      const seen: string[] = [];
      let isFirst = true;
      for (let cursor: string | null = ""; cursor !== null; ) {
        const { body } = await api.get(
          `${path}?limit=2&order=${order}${cursor && `&cursor=${cursor}`}`,
        );
        const own = body.data.map(({ id }) => id).filter((id) => id.startsWith(`${name}-`));
        seen.push(...own);
        cursor = body.next;
        if (own.length === 0 || !isFirst) continue;
        isFirst = false;
        await afterFirst(own);
      }
      return seen;
    }

    const verb = collection.feed ? "shows" : "may miss";
    it(`${verb} an item that is created late, in ascending order`, async () => {
      const { ids, older } = await createItems("late");
      const seen = await walk("asc", "late", () => deliverLate("late-new", older));
      assert.deepEqual(seen, collection.feed ? [...ids, "late-new"] : ids);
    });

    it("shows no item twice of which an older put comes late, in descending order", async () => {
      const { ids, older } = await createItems("twice");
      const seen = await walk("desc", "twice", ([first = ""]) => deliverLate(first, older));
      assert.deepEqual(seen, ids.toReversed());
    });

    it("skips no item of which an older put comes late, in ascending order", async () => {
      const { ids, older } = await createItems("skipped");
      const last = ids.at(-1) as string;
      const seen = await walk("asc", "skipped", () => deliverLate(last, older));
      assert.deepEqual(seen, ids);
    });
  });
