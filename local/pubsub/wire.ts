import { createRequire } from "node:module";
import type { protos } from "@google-cloud/pubsub";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { fromJSON, type MessageTypeDefinition } from "@grpc/proto-loader";

/*
 * The protocol, from the definitions that Google's own client ships, with one change: a
 * message within a publish request, and within what is delivered, is left as bytes. On the wire
 * both are the same, so a message is decoded once, to be checked, and never encoded again.
 */

type V1 = typeof protos.google.pubsub.v1;
export type TopicConfig = InstanceType<V1["Topic"]> | protos.google.pubsub.v1.ITopic;
export type SubscriptionConfig = protos.google.pubsub.v1.ISubscription;
export type SnapshotConfig = protos.google.pubsub.v1.ISnapshot;
export type PushConfig = protos.google.pubsub.v1.IPushConfig;
export type Duration = protos.google.protobuf.IDuration;
export type Timestamp = protos.google.protobuf.ITimestamp;

/** A PubsubMessage, decoded. */
export type Content = {
  data?: Buffer;
  attributes?: Record<string, string>;
  orderingKey?: string;
  messageId?: string;
  publishTime?: { seconds: number; nanos?: number };
};

/** A message on a topic. */
export type Message = {
  readonly id: string;
  readonly publishedAtMs: number;
  readonly orderingKey: string;
  /** The PubsubMessage, encoded, with its id and its time. */
  readonly bytes: Buffer;
};

const definitions = loadDefinitions();
const pubsubMessage = definitions["google.pubsub.v1.PubsubMessage"] as MessageTypeDefinition<
  Content,
  Content
>;
export const publisherService = definitions["google.pubsub.v1.Publisher"] as ServiceDefinition;
export const subscriberService = definitions["google.pubsub.v1.Subscriber"] as ServiceDefinition;

export function decodeMessage(bytes: Buffer): Content {
  return pubsubMessage.deserialize(bytes);
}

export function encodeMessage(content: Content): Buffer {
  return pubsubMessage.serialize(content);
}

/** Adds the id and the publish time: in protobuf, appended fields are merged into the message. */
export function stampMessage(
  raw: Buffer,
  content: Content,
  id: string,
  publishedAtMs: number,
): Message {
  const stamp = { messageId: id, publishTime: toTimestamp(publishedAtMs) };
  const hasStamp = content.messageId !== undefined || content.publishTime !== undefined;
  const bytes = hasStamp
    ? encodeMessage({ ...content, ...stamp })
    : Buffer.concat([raw, encodeMessage(stamp)]);
  return { id, publishedAtMs, orderingKey: content.orderingKey ?? "", bytes };
}

export function toTimestamp(timeMs: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(timeMs / 1_000), nanos: (timeMs % 1_000) * 1_000_000 };
}

/** Milliseconds of a duration or of a point in time; `fallback` where there is none. */
export function toMs(time: Duration | Timestamp | null | undefined, fallback = 0): number {
  if (!time) return fallback;
  return Number(time.seconds ?? 0) * 1_000 + (time.nanos ?? 0) / 1_000_000;
}

type Descriptor = {
  nested: Record<string, Descriptor>;
  fields: Record<string, { type: string }>;
};

function loadDefinitions() {
  const path = "@google-cloud/pubsub-api/build/protos/protos.json";
  const descriptor = createRequire(import.meta.url)(path) as Descriptor;
  const patched = structuredClone(descriptor);
  const types = patched.nested.google?.nested.pubsub?.nested.v1?.nested;
  for (const [type, field] of [
    ["PublishRequest", "messages"],
    ["ReceivedMessage", "message"],
  ] as const) {
    const found = types?.[type]?.fields[field];
    if (!found) throw new Error(`The definitions of Pub/Sub have no ${type}.${field}.`);
    found.type = "bytes";
  }
  return fromJSON(patched as Parameters<typeof fromJSON>[0], {
    longs: Number,
    enums: String,
    arrays: true,
  });
}
