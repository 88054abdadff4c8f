import { FieldReader, lengthOfField, writeField, writeText } from "../common/protobuf.ts";
import type { MessageContent } from "../common/write.ts";

/*
 * What publishing says to Pub/Sub, in protobuf's wire format. Google's client makes objects of a
 * batch first, and many more to write those; this writes its bytes, in one go.
 */

/** The only method of google.pubsub.v1.Publisher that is used. */
export const PUBLISH_PATH = "/google.pubsub.v1.Publisher/Publish";

/** Numbers of fields (google/pubsub/v1/pubsub.proto). */
const TOPIC = 1;
const MESSAGES = 2;
const DATA = 1;
const ATTRIBUTES = 2;
const KEY = 1;
const VALUE = 2;
const MESSAGE_IDS = 1;

/** A PublishRequest's bytes. Attributes must be ASCII, as all that a write has are. */
export function encodePublishRequest(topic: string, messages: readonly MessageContent[]): Buffer {
  const lengths = messages.map(lengthOfMessage);
  let length = lengthOfField(topic.length);
  for (const own of lengths) length += lengthOfField(own);
  const bytes = Buffer.allocUnsafe(length);
  let at = writeText(bytes, 0, TOPIC, topic);
  messages.forEach(({ attributes, data }, index) => {
    at = writeField(bytes, at, MESSAGES, lengths[index] as number);
    at = writeField(bytes, at, DATA, data.length);
    at += data.copy(bytes, at);
    for (const name in attributes) {
      const value = attributes[name] as string;
      at = writeField(
        bytes,
        at,
        ATTRIBUTES,
        lengthOfField(name.length) + lengthOfField(value.length),
      );
      at = writeText(bytes, at, KEY, name);
      at = writeText(bytes, at, VALUE, value);
    }
  });
  return bytes;
}

/** The message ids of a PublishResponse, in the order of the messages. */
export function decodeMessageIds(response: Buffer): string[] {
  const ids: string[] = [];
  const reader = new FieldReader(response);
  while (reader.at < response.length) {
    if (reader.field() === MESSAGE_IDS) ids.push(reader.text());
    else reader.skip();
  }
  return ids;
}

function lengthOfMessage({ attributes, data }: MessageContent): number {
  let length = lengthOfField(data.length);
  for (const name in attributes) {
    const value = attributes[name] as string;
    length += lengthOfField(lengthOfField(name.length) + lengthOfField(value.length));
  }
  return length;
}
