import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { decodeMessageIds, encodePublishRequest } from "./publish-request.ts";

/** The protocol's definition, as Google's packages ship it. */
const definition = createRequire(import.meta.url)(
  "@google-cloud/pubsub-api/build/protos/protos.json",
);
const types = protobuf.Root.fromJSON(definition);
const PublishRequest = types.lookupType("google.pubsub.v1.PublishRequest");
const PublishResponse = types.lookupType("google.pubsub.v1.PublishResponse");

const ascii = (maxLength: number) => fc.string({ unit: "binary-ascii", maxLength });
const attributes = fc.dictionary(ascii(200), ascii(1_000), { maxKeys: 12, noNullPrototype: true });
const data = fc.uint8Array({ maxLength: 20_000 }).map((bytes) => Buffer.from(bytes));
const content = fc.record({ attributes, data }, { noNullPrototype: true });

describe("what publishing says in protobuf", () => {
  it("is read by Google's definition as the messages that it was made of", () => {
    fc.assert(
      fc.property(ascii(300), fc.array(content, { maxLength: 5 }), (topic, contents) => {
        const bytes = encodePublishRequest(topic, contents);
        const read = PublishRequest.toObject(PublishRequest.decode(bytes), { defaults: true });
        assert.equal(read.topic, topic);
        assert.deepEqual(
          read.messages.map(({ attributes, data }: (typeof contents)[0]) => ({ attributes, data })),
          contents,
        );
      }),
    );
  });

  it("understands the ids that are answered, however many and long", () => {
    fc.assert(
      fc.property(fc.array(ascii(400), { maxLength: 600 }), (messageIds) => {
        const bytes = PublishResponse.encode(PublishResponse.create({ messageIds })).finish();
        assert.deepEqual(decodeMessageIds(Buffer.from(bytes)), messageIds);
      }),
    );
  });

  it("passes over fields that it does not know, and refuses an answer that is cut off", () => {
    assert.deepEqual(decodeMessageIds(Buffer.from([0x12, 1, 65, 0x18, 1, 0x0a, 1, 66])), ["B"]);
    for (const bytes of [[0x0a, 5, 65], [0x0a], [0x18]])
      assert.throws(() => decodeMessageIds(Buffer.from(bytes)), RangeError);
  });
});
