import {
  FieldReader,
  lengthOfField,
  lengthOfNumberField,
  writeNumberField,
  writeText,
} from "../common/protobuf.ts";
import type { MessageContent } from "../common/write.ts";

/*
 * What pulling says to Pub/Sub and hears from it, in protobuf's wire format
 * (google/pubsub/v1/pubsub.proto). Texts that are sent are ASCII: names, and ack ids.
 */

const SUBSCRIBER = "/google.pubsub.v1.Subscriber";
export const STREAMING_PULL_PATH = `${SUBSCRIBER}/StreamingPull`;
export const ACKNOWLEDGE_PATH = `${SUBSCRIBER}/Acknowledge`;
export const MODIFY_ACK_DEADLINE_PATH = `${SUBSCRIBER}/ModifyAckDeadline`;

/** Numbers of fields, by message. */
const PULL_REQUEST = {
  subscription: 1,
  streamAckDeadlineSeconds: 5,
  clientId: 6,
  maxOutstandingMessages: 7,
  maxOutstandingBytes: 8,
  protocolVersion: 10,
};
const ACKNOWLEDGE_REQUEST = { subscription: 1, ackIds: 2 };
const MODIFY_REQUEST = { subscription: 1, ackDeadlineSeconds: 3, ackIds: 4 };
const PULL_RESPONSE = { receivedMessages: 1 };
const RECEIVED_MESSAGE = { ackId: 1, message: 2 };
const MESSAGE = { data: 1, attributes: 2, messageId: 3 };
const ENTRY = { key: 1, value: 2 };

/** With this version the server answers a request that keeps a stream alive. */
const PROTOCOL_VERSION = 1;

/** A message as a streaming pull brings it. `data` is part of the response's own bytes. */
export type Received = MessageContent & { ackId: string; messageId: string };

/** The first request of a stream. */
export function encodePullRequest(request: {
  subscription: string;
  clientId: string;
  streamAckDeadlineSeconds: number;
  maxOutstandingMessages: number;
  maxOutstandingBytes: number;
}): Buffer {
  return encode(PULL_REQUEST, { ...request, protocolVersion: PROTOCOL_VERSION });
}

/** The requests after it, which say nothing but that somebody is there. */
export const KEEPALIVE = Buffer.alloc(0);

export function encodeAcknowledge(subscription: string, ackIds: readonly string[]): Buffer {
  return encode(ACKNOWLEDGE_REQUEST, { subscription, ackIds });
}

export function encodeModifyAckDeadline(
  subscription: string,
  ackIds: readonly string[],
  ackDeadlineSeconds: number,
): Buffer {
  return encode(MODIFY_REQUEST, { subscription, ackDeadlineSeconds, ackIds });
}

/** The messages of a response. Throws a RangeError where it is none. */
export function decodePullResponse(response: Buffer): Received[] {
  const received: Received[] = [];
  const reader = new FieldReader(response);
  while (reader.at < response.length) {
    if (reader.field() === PULL_RESPONSE.receivedMessages) received.push(readReceived(reader));
    else reader.skip();
  }
  return received;
}

function readReceived(reader: FieldReader): Received {
  const received: Received = { ackId: "", messageId: "", attributes: {}, data: Buffer.alloc(0) };
  for (const end = reader.end(); reader.at < end; ) {
    const field = reader.field();
    if (field === RECEIVED_MESSAGE.ackId) received.ackId = reader.text();
    else if (field === RECEIVED_MESSAGE.message) readMessage(reader, received);
    else reader.skip();
  }
  return received;
}

function readMessage(reader: FieldReader, received: Received): void {
  for (const end = reader.end(); reader.at < end; ) {
    const field = reader.field();
    if (field === MESSAGE.data) received.data = reader.bytes();
    else if (field === MESSAGE.attributes) readAttribute(reader, received.attributes);
    else if (field === MESSAGE.messageId) received.messageId = reader.text();
    else reader.skip();
  }
}

function readAttribute(reader: FieldReader, attributes: Record<string, string>): void {
  let key = "";
  let value = "";
  for (const end = reader.end(); reader.at < end; ) {
    const field = reader.field();
    if (field === ENTRY.key) key = reader.text();
    else if (field === ENTRY.value) value = reader.text();
    else reader.skip();
  }
  // Assigned, it would be the object's prototype.
  if (key === "__proto__") Object.defineProperty(attributes, key, { value, enumerable: true });
  else attributes[key] = value;
}

type Value = string | number | readonly string[];

/** A request's fields by their numbers: texts, numbers, and lists of texts. */
function encode<Name extends string>(
  fields: Readonly<Record<Name, number>>,
  values: Readonly<Record<Name, Value>>,
): Buffer {
  const names = Object.keys(fields) as Name[];
  let length = 0;
  for (const name of names) length += getLength(values[name]);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const name of names) at = write(bytes, at, fields[name], values[name]);
  return bytes;
}

function getLength(value: Value): number {
  if (typeof value === "number") return lengthOfNumberField(value);
  if (typeof value === "string") return lengthOfField(value.length);
  return value.reduce((length, text) => length + lengthOfField(text.length), 0);
}

function write(bytes: Buffer, at: number, field: number, value: Value): number {
  if (typeof value === "number") return writeNumberField(bytes, at, field, value);
  if (typeof value === "string") return writeText(bytes, at, field, value);
  return value.reduce((next, text) => writeText(bytes, next, field, text), at);
}
