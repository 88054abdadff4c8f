import assert from "node:assert/strict";
import { it } from "node:test";
import { getMessageBytes } from "./message.ts";

it("counts the attributes of a message, besides its data", () => {
  const attributes = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`name-${index}`, "é".repeat(1_000)]),
  );
  const message = { messageId: "1", attributes, data: Buffer.alloc(50) };
  assert.ok(getMessageBytes(message) > 200_000);
  assert.equal(getMessageBytes({ ...message, attributes: {} }), 50);
  assert.equal(getMessageBytes({ ...message, attributes: { a: "bc" } }), 56);
});
