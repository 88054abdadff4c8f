import { failedPrecondition, invalid, outOfRange } from "./refusal.ts";
import { type Content, type Duration, toMs } from "./wire.ts";

/*
 * Production's limits (Pub/Sub documentation, "Quotas and limits", and the comments of the
 * protocol's definition), with the answers that it gives beyond them.
 */

/** A message, and a publish request. */
export const REQUEST_BYTES = 10_000_000;
const MESSAGES_A_PUBLISH = 1_000;
const ATTRIBUTES = 100;
const ATTRIBUTE_KEY_BYTES = 256;
const ATTRIBUTE_VALUE_BYTES = 1_024;
const ORDERING_KEY_BYTES = 1_024;
const FILTER_BYTES = 256;
const ACK_DEADLINE_SECONDS = { least: 10, most: 600 };
const BACKOFF_SECONDS = { least: 0, most: 600 };
const DELIVERY_ATTEMPTS = { least: 5, most: 100 };
const RETENTION_SECONDS = { least: 600, most: 31 * 24 * 3_600 };

const NAME = /^projects\/[^/]+\/(topics|subscriptions|snapshots)\/([A-Za-z][\w.~+%-]{2,254})$/;

export function checkName(kind: "topics" | "subscriptions" | "snapshots", name = ""): string {
  const [, foundKind, last = ""] = NAME.exec(name) ?? [];
  if (foundKind === kind && !last.startsWith("goog")) return name;
  throw invalid(`Invalid resource name given (name=${name}).`);
}

/** A request to publish, before its messages are looked at. */
export function checkPublish(raws: readonly Buffer[]): void {
  const count = raws.length;
  if (count === 0)
    throw invalid(
      "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.",
    );
  checkMost("message_count", count, MESSAGES_A_PUBLISH);
  const bytes = raws.reduce((sum, raw) => sum + raw.length, 0);
  checkMost("request_size", bytes, REQUEST_BYTES);
}

export function checkContent({ data, attributes = {}, orderingKey = "" }: Content): void {
  const keys = Object.keys(attributes);
  if (!data?.length && keys.length === 0)
    throw invalid(
      "One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.",
    );
  checkMost("attributes_count", keys.length, ATTRIBUTES);
  for (const key of keys) {
    const bytes = Buffer.byteLength(key);
    if (bytes === 0) throw invalid("An attribute key must not be empty.");
    if (key.startsWith("goog"))
      throw invalid(`Attribute keys must not begin with "goog" (key=${key}).`);
    checkMost("attribute_key_size", bytes, ATTRIBUTE_KEY_BYTES);
    const value = attributes[key] as string;
    // Most values are far shorter than what their bytes could make too long.
    if (value.length * 3 > ATTRIBUTE_VALUE_BYTES)
      checkMost("attribute_value_size", Buffer.byteLength(value), ATTRIBUTE_VALUE_BYTES);
  }
  checkMost("ordering_key_size", Buffer.byteLength(orderingKey), ORDERING_KEY_BYTES);
}

export function checkFilterSize(filter: string): void {
  checkMost("filter_size", Buffer.byteLength(filter), FILTER_BYTES);
}

/** The deadline of a subscription, where 0 means the least, or of a stream. */
export function checkAckDeadline(seconds: number): number {
  return checkRange("ack_deadline_seconds", seconds, ACK_DEADLINE_SECONDS);
}

/** A new deadline for a message; 0 gives it back. */
export function checkExtension(seconds: number): number {
  return checkRange("ack_deadline_seconds", seconds, { ...ACK_DEADLINE_SECONDS, least: 0 });
}

export function checkDeliveryAttempts(attempts: number): number {
  try {
    return checkRange("max_delivery_attempts", attempts, DELIVERY_ATTEMPTS);
  } catch (error) {
    // The one limit with a code of its own; the emulator has it, too.
    throw outOfRange((error as Error).message);
  }
}

export function checkBackoff(least: Duration, most: Duration): void {
  checkRange("minimum_backoff", toMs(least) / 1_000, BACKOFF_SECONDS);
  checkRange("maximum_backoff", toMs(most) / 1_000, BACKOFF_SECONDS);
  if (toMs(least) > toMs(most))
    throw invalid("The minimum backoff must not be longer than the maximum backoff.");
}

export function checkRetention(retention: Duration): void {
  checkRange("message_retention_duration", toMs(retention) / 1_000, RETENTION_SECONDS);
}

/** How many messages a pull may bring. */
export function checkMaxMessages(count: number): void {
  if (count < 1) throw invalid("The max_messages field must be at least 1.");
}

/** The endpoint of pushes. Production takes https alone; here there is nobody to certify it. */
export function checkEndpoint(endpoint: string): void {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw invalid(`Invalid push endpoint given (endpoint=${endpoint}).`);
}

export function checkPullable(isPush: boolean, isDetached: boolean): void {
  if (isPush) throw failedPrecondition("This method is not supported for push subscriptions.");
  if (isDetached) throw failedPrecondition("The subscription is detached from its topic.");
}

function checkMost(what: string, value: number, most: number): void {
  if (value <= most) return;
  throw invalid(
    `The value for ${what} is too large. You passed ${value} in the request, but the maximum value is ${most}.`,
  );
}

function checkRange(what: string, value: number, { least, most }: { least: number; most: number }) {
  checkMost(what, value, most);
  if (value >= least) return value;
  throw invalid(
    `The value for ${what} is too small. You passed ${value} in the request, but the minimum value is ${least}.`,
  );
}
