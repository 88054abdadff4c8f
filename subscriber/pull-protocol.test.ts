import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import {
  decodePullResponse,
  encodeAcknowledge,
  encodeModifyAckDeadline,
  encodePullRequest,
} from "./pull-protocol.ts";

/** The protocol's definition, as Google's packages ship it. */
const definition = createRequire(import.meta.url)(
  "@google-cloud/pubsub-api/build/protos/protos.json",
);
const types = protobuf.Root.fromJSON(definition);
const getType = (name: string) => types.lookupType(`google.pubsub.v1.${name}`);
const read = (name: string, bytes: Buffer) => {
  const type = getType(name);
  return type.toObject(type.decode(bytes), { longs: Number });
};

const ascii = fc.string({ unit: "binary-ascii", maxLength: 200 });
const text = fc.string({ unit: "binary", maxLength: 200 });
const count = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const bytes = fc.uint8Array({ maxLength: 20_000 }).map((array) => Buffer.from(array));

describe("what pulling says in protobuf", () => {
  it("is read by Google's definition as what was meant", () => {
    const ackIds = fc.array(fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 300 }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(ascii, ascii, ackIds, count, count, (subscription, clientId, ids, some, more) => {
        const request = {
          ...{ subscription, clientId, streamAckDeadlineSeconds: some },
          ...{ maxOutstandingMessages: more, maxOutstandingBytes: some },
        };
        assert.deepEqual(read("StreamingPullRequest", encodePullRequest(request)), {
          ...request,
          protocolVersion: 1,
        });
        assert.deepEqual(read("AcknowledgeRequest", encodeAcknowledge(subscription, ids)), {
          subscription,
          ackIds: ids,
        });
        assert.deepEqual(
          read("ModifyAckDeadlineRequest", encodeModifyAckDeadline(subscription, ids, some)),
          { subscription, ackIds: ids, ackDeadlineSeconds: some },
        );
      }),
    );
  });

  it("says so where a lease is to end at once", () => {
    const { ackDeadlineSeconds } = read(
      "ModifyAckDeadlineRequest",
      encodeModifyAckDeadline("s", ["a"], 0),
    );
    assert.equal(ackDeadlineSeconds, 0);
  });
});

describe("what pulling hears in protobuf", () => {
  const name = fc.oneof(text, fc.constant("__proto__"));
  const message = fc.record({
    data: bytes,
    attributes: fc.dictionary(name, text, { maxKeys: 12 }),
    messageId: text,
  });
  const response = fc.record({
    receivedMessages: fc.array(
      fc.record({ ackId: text, message, deliveryAttempt: fc.integer({ min: 0, max: 100 }) }),
      { maxLength: 5 },
    ),
    // Fields that say nothing to a subscriber without exactly-once delivery and order.
    subscriptionProperties: fc.constant({ messageOrderingEnabled: true }),
    acknowledgeConfirmation: fc.record({ ackIds: fc.array(text, { maxLength: 3 }) }),
  });
  const encode = (said: object): Buffer => {
    const type = getType("StreamingPullResponse");
    return Buffer.from(type.encode(type.create(said)).finish());
  };

  it("is what Pub/Sub said, by Google's definition", () => {
    fc.assert(
      fc.property(response, fc.integer({ max: 2 ** 31 - 1 }), (said, seconds) => {
        // Times and kinds of fields that are passed over.
        for (const { message } of said.receivedMessages)
          Object.assign(message, { publishTime: { seconds, nanos: 1 }, orderingKey: "key" });
        const heard = decodePullResponse(encode(said));
        assert.deepEqual(
          heard.map(({ ackId, messageId, attributes, data }) => ({
            ...{ ackId, messageId, data },
            attributes: Object.entries(attributes).sort(),
          })),
          said.receivedMessages.map(({ ackId, message }) => ({
            ...{ ackId, messageId: message.messageId, data: message.data },
            attributes: Object.entries(message.attributes).sort(),
          })),
        );
      }),
    );
  });

  it("is refused where it breaks off, wherever that is", () => {
    const whole = encode({
      receivedMessages: [{ ackId: "a", message: { data: Buffer.from("{}"), messageId: "1" } }],
    });
    for (let length = 1; length < whole.length; length += 1)
      assert.throws(() => decodePullResponse(whole.subarray(0, length)), RangeError, `${length}`);
  });
});
