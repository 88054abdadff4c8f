import { failedPrecondition, invalidArgument, outOfRange } from "./errors.ts";
import { type Content, type Duration, toMs } from "./wire.ts";

/*
 * Production's limits (Pub/Sub documentation, "Quotas and limits", and the comments of the
 * protocol's definition), with the errors that it answers beyond them.
 */

/** A message, and a publish request. */
export const REQUEST_BYTES = 10_000_000;
const MESSAGES_A_PUBLISH = 1_000;
const ATTRIBUTES = 100;
const ATTRIBUTE_KEY_BYTES = 256;
const ATTRIBUTE_VALUE_BYTES = 1_024;
const ORDERING_KEY_BYTES = 1_024;
const FILTER_BYTES = 256;
const ACK_DEADLINE_SECONDS = { min: 10, max: 600 };
const BACKOFF_SECONDS = { min: 0, max: 600 };
const DELIVERY_ATTEMPTS = { min: 5, max: 100 };
const RETENTION_SECONDS = { min: 600, max: 31 * 24 * 3_600 };

const NAME = /^projects\/[^/]+\/(topics|subscriptions|snapshots)\/([A-Za-z][\w.~+%-]{2,254})$/;

export function checkName(kind: "topics" | "subscriptions" | "snapshots", name = ""): string {
  const [, foundKind, last = ""] = NAME.exec(name) ?? [];
  if (foundKind === kind && !last.startsWith("goog")) return name;
  throw invalidArgument(`Invalid resource name given (name=${name}).`);
}

/** A request to publish, before its messages are looked at. */
export function checkPublish(raws: readonly Buffer[]): void {
  const count = raws.length;
  if (count === 0)
    throw invalidArgument(
      "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.",
    );
  checkMax("message_count", count, MESSAGES_A_PUBLISH);
  const bytes = raws.reduce((sum, raw) => sum + raw.length, 0);
  checkMax("request_size", bytes, REQUEST_BYTES);
}

export function checkContent({ data, attributes = {}, orderingKey = "" }: Content): void {
  const keys = Object.keys(attributes);
  if (!data?.length && keys.length === 0)
    throw invalidArgument(
      "One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.",
    );
  checkMax("attributes_count", keys.length, ATTRIBUTES);
  for (const key of keys) {
    const bytes = Buffer.byteLength(key);
    if (bytes === 0) throw invalidArgument("An attribute key must not be empty.");
    if (key.startsWith("goog"))
      throw invalidArgument(`Attribute keys must not begin with "goog" (key=${key}).`);
    checkMax("attribute_key_size", bytes, ATTRIBUTE_KEY_BYTES);
    const value = attributes[key] as string;
    // Most values are far shorter than what their bytes could make too long.
    if (value.length * 3 > ATTRIBUTE_VALUE_BYTES)
      checkMax("attribute_value_size", Buffer.byteLength(value), ATTRIBUTE_VALUE_BYTES);
  }
  checkMax("ordering_key_size", Buffer.byteLength(orderingKey), ORDERING_KEY_BYTES);
}

export function checkFilterSize(filter: string): void {
  checkMax("filter_size", Buffer.byteLength(filter), FILTER_BYTES);
}

/** The deadline of a subscription, where 0 means the least, or of a stream. */
export function checkAckDeadline(seconds: number): number {
  return checkRange("ack_deadline_seconds", seconds, ACK_DEADLINE_SECONDS);
}

/** A new deadline for a message; 0 is a nack. */
export function checkExtension(seconds: number): number {
  return checkRange("ack_deadline_seconds", seconds, { ...ACK_DEADLINE_SECONDS, min: 0 });
}

export function checkDeliveryAttempts(attempts: number): number {
  try {
    return checkRange("max_delivery_attempts", attempts, DELIVERY_ATTEMPTS);
  } catch (error) {
    // The one limit with a code of its own; the emulator has it as well.
    throw outOfRange((error as Error).message);
  }
}

export function checkBackoff(min: Duration, max: Duration): void {
  checkRange("minimum_backoff", toMs(min) / 1_000, BACKOFF_SECONDS);
  checkRange("maximum_backoff", toMs(max) / 1_000, BACKOFF_SECONDS);
  if (toMs(min) > toMs(max))
    throw invalidArgument("The minimum backoff must not be longer than the maximum backoff.");
}

export function checkRetention(retention: Duration): void {
  checkRange("message_retention_duration", toMs(retention) / 1_000, RETENTION_SECONDS);
}

/** How many messages a pull asks for. */
export function checkMaxMessages(count: number): void {
  if (count < 1) throw invalidArgument("The max_messages field must be at least 1.");
}

/** The endpoint of pushes. Production takes https only; local endpoints have no certificate. */
export function checkEndpoint(endpoint: string): void {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw invalidArgument(`Invalid push endpoint given (endpoint=${endpoint}).`);
}

export function checkPullable(isPush: boolean, isDetached: boolean): void {
  if (isPush) throw failedPrecondition("This method is not supported for push subscriptions.");
  if (isDetached) throw failedPrecondition("The subscription is detached from its topic.");
}

function checkMax(what: string, value: number, max: number): void {
  if (value <= max) return;
  throw invalidArgument(
    `The value for ${what} is too large. You passed ${value} in the request, but the maximum value is ${max}.`,
  );
}

function checkRange(what: string, value: number, { min, max }: { min: number; max: number }) {
  checkMax(what, value, max);
  if (value >= min) return value;
  throw invalidArgument(
    `The value for ${what} is too small. You passed ${value} in the request, but the minimum value is ${min}.`,
  );
}
