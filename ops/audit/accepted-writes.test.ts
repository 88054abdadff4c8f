import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { mintWriteId } from "../../common/write-id.ts";
import { ACCEPTED, readAcceptedWrites } from "./accepted-writes.ts";

/** Reads a text that arrives in pieces, cut at these places. */
async function read(text: string, cuts: readonly number[]) {
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length];
  places.sort((a, b) => a - b);
  const pieces = places.map((place, index) => text.slice(places[index - 1] ?? 0, place));
  const counts = { acceptedLines: 0, bareIds: 0, others: 0, unreadable: 0 };
  const ids: string[] = [];
  for await (const writes of readAcceptedWrites(Readable.from(pieces), counts))
    ids.push(...writes.map(({ id }) => id));
  return { ids, counts };
}

const cuts = fc.array(fc.nat());
/** Entries of other programs, whose texts may look like the ends of the API's. */
const otherEntry = fc.dictionary(fc.string(), fc.jsonValue());
const acceptedEntry = fc.string().map((text) => ({
  textPayload: `${text}\n  },\n]`,
  jsonPayload: {
    message: ACCEPTED,
    metadata: { writes: [{ id: mintWriteId(), collection: "data", item: "x" }] },
  },
}));

test("every accepted write of an array is read, indented or not, however it arrives", async () => {
  const entries = fc.array(fc.oneof(otherEntry, acceptedEntry));
  const indents = fc.constantFrom(undefined, 2);
  await fc.assert(
    fc.asyncProperty(entries, indents, cuts, async (entries, indent, cuts) => {
      const { ids, counts } = await read(`${JSON.stringify(entries, null, indent)}\n`, cuts);
      const accepted = entries.filter(
        (
          entry,
        ): entry is {
          textPayload: string;
          jsonPayload: { metadata: { writes: { id: string }[] } };
        } => typeof entry === "object" && "textPayload" in entry && "jsonPayload" in entry,
      );
      assert.deepEqual(
        ids,
        accepted.map(({ jsonPayload }) => jsonPayload.metadata.writes[0]?.id),
      );
      assert.equal(counts.others, entries.length - accepted.length);
      assert.equal(counts.unreadable, 0);
    }),
    { numRuns: 500 },
  );
});

test("a text that begins with a bracket is read as lines unless it is an array", async () => {
  const id = mintWriteId();
  const { ids, counts } = await read(`[12:00:00] starting\n  {\n${id}\n  }\n`, []);
  assert.deepEqual(ids, [id]);
  assert.deepEqual(counts, { acceptedLines: 0, bareIds: 1, others: 3, unreadable: 0 });
});
