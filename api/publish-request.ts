import type { MessageContent } from "../common/write.ts";

/*
 * What publishing says to Pub/Sub, in protobuf's wire format. Google's client makes objects of a
 * batch first, and many more to write those; this writes its bytes, in one go.
 */

/** The only method of google.pubsub.v1.Publisher that is used. */
export const PUBLISH_PATH = "/google.pubsub.v1.Publisher/Publish";

/** Tags of fields that tell their length: the number times 8, plus 2 (google/pubsub/v1/pubsub.proto). */
const TOPIC = 0x0a;
const MESSAGES = 0x12;
const DATA = 0x0a;
const ATTRIBUTES = 0x12;
const KEY = 0x0a;
const VALUE = 0x12;
const MESSAGE_IDS = 0x0a;

/** A PublishRequest's bytes. Attributes must be ASCII, as all that a write has are. */
export function encodePublishRequest(topic: string, messages: readonly MessageContent[]): Buffer {
  const lengths = messages.map(lengthOfMessage);
  let length = lengthOfField(topic.length);
  for (const own of lengths) length += lengthOfField(own);
  const bytes = Buffer.allocUnsafe(length);
  let at = writeText(bytes, 0, TOPIC, topic);
  messages.forEach(({ attributes, data }, index) => {
    at = writeTag(bytes, at, MESSAGES, lengths[index] as number);
    at = writeTag(bytes, at, DATA, data.length);
    at += data.copy(bytes, at);
    for (const name in attributes) {
      const value = attributes[name] as string;
      at = writeTag(
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
  for (let at = 0; at < response.length; ) {
    const [length, start] = readLength(response, at + 1);
    if (response[at] !== MESSAGE_IDS || start + length > response.length)
      throw new Error("Pub/Sub's answer is no PublishResponse.");
    at = start + length;
    ids.push(response.toString("latin1", start, at));
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

/** Of a field with so much in it: its tag, its length and that. */
function lengthOfField(content: number): number {
  let digits = 1;
  for (let rest = content >>> 7; rest > 0; rest >>>= 7) digits += 1;
  return 1 + digits + content;
}

function writeText(bytes: Buffer, at: number, tag: number, text: string): number {
  const start = writeTag(bytes, at, tag, text.length);
  return start + bytes.write(text, start, "latin1");
}

/** The length follows its tag, seven bits a byte, the lowest first; the highest bit: more follow. */
function writeTag(bytes: Buffer, start: number, tag: number, length: number): number {
  let at = start;
  bytes[at++] = tag;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

function readLength(bytes: Buffer, start: number): [length: number, end: number] {
  let length = 0;
  for (let at = start, shift = 0; ; at += 1, shift += 7) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) * 2 ** shift;
    if (!(byte & 0x80)) return [length, at + 1];
  }
}
