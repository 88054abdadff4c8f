import { invalidArgument, unimplemented } from "../errors.ts";
import {
  checkAckDeadline,
  checkBackoff,
  checkDeliveryAttempts,
  checkEndpoint,
  checkFilterSize,
  checkName,
  checkRetention,
} from "../limits.ts";
import { parseFilter } from "../subscriptions/filter.ts";
import { type PushConfig, type SubscriptionConfig, toMs } from "../wire.ts";

/** Production's defaults. */
const ACK_DEADLINE_SECONDS = 10;
const RETENTION = { seconds: 7 * 24 * 3_600 };
const EXPIRATION_POLICY = { ttl: { seconds: 31 * 24 * 3_600 } };
const BACKOFF = { min: { seconds: 10 }, max: { seconds: 600 } };
const DELIVERY_ATTEMPTS = 5;

const MUTABLE = new Set([
  "pushConfig",
  "ackDeadlineSeconds",
  "retainAckedMessages",
  "messageRetentionDuration",
  "labels",
  "expirationPolicy",
  "deadLetterPolicy",
  "retryPolicy",
]);
const UNIMPLEMENTED = [
  "bigqueryConfig",
  "cloudStorageConfig",
  "bigtableConfig",
  "enableExactlyOnceDelivery",
  "messageTransforms",
] as const;

/** Checks a subscription as it is asked for, and fills in what was left out. */
export function completeSubscription(asked: SubscriptionConfig): SubscriptionConfig {
  checkName("subscriptions", asked.name ?? "");
  for (const field of UNIMPLEMENTED) {
    const value = asked[field];
    if (Array.isArray(value) ? value.length > 0 : value) throw unimplemented(field);
  }
  checkFilterSize(asked.filter ?? "");
  parseFilter(asked.filter ?? "");
  const config: SubscriptionConfig = {
    ...asked,
    state: "ACTIVE",
    ackDeadlineSeconds: checkAckDeadline(asked.ackDeadlineSeconds || ACK_DEADLINE_SECONDS),
    messageRetentionDuration: asked.messageRetentionDuration ?? RETENTION,
    expirationPolicy: asked.expirationPolicy ?? EXPIRATION_POLICY,
    pushConfig: completePush(asked.pushConfig),
  };
  checkRetention(config.messageRetentionDuration ?? RETENTION);
  if (asked.retryPolicy) {
    const { minimumBackoff, maximumBackoff } = asked.retryPolicy;
    const [least, most] = [minimumBackoff ?? BACKOFF.min, maximumBackoff ?? BACKOFF.max];
    checkBackoff(least, most);
    config.retryPolicy = { minimumBackoff: least, maximumBackoff: most };
  }
  if (asked.deadLetterPolicy) {
    const { deadLetterTopic, maxDeliveryAttempts } = asked.deadLetterPolicy;
    config.deadLetterPolicy = {
      deadLetterTopic: checkName("topics", deadLetterTopic ?? ""),
      maxDeliveryAttempts: checkDeliveryAttempts(maxDeliveryAttempts || DELIVERY_ATTEMPTS),
    };
  }
  return config;
}

export function completePush(asked: PushConfig | null | undefined): PushConfig {
  if (!asked?.pushEndpoint) return {};
  checkEndpoint(asked.pushEndpoint);
  if (asked.oidcToken && !asked.oidcToken.serviceAccountEmail)
    throw invalidArgument("The service account e-mail of an OIDC token must not be empty.");
  return asked;
}

/** How long a message that was delivered `attempts` times waits for its redelivery after a nack. */
export function computeBackoffMs({ retryPolicy }: SubscriptionConfig, attempts: number): number {
  if (!retryPolicy) return 0;
  const leastMs = toMs(retryPolicy.minimumBackoff);
  return Math.min(leastMs * 2 ** (attempts - 1), toMs(retryPolicy.maximumBackoff));
}

/** The configuration with the fields that the mask names taken from `next`. */
export function updateConfig<Config extends object>(
  config: Config,
  next: Config,
  paths: readonly string[],
  mutable: ReadonlySet<string> = MUTABLE,
): Config {
  if (paths.length === 0) throw invalidArgument("The update_mask must not be empty.");
  const updated = structuredClone(config);
  for (const path of paths) {
    const fields = path.split(".").map(toCamelCase);
    if (!mutable.has(fields[0] ?? ""))
      throw invalidArgument(`Invalid update_mask provided in the request (${path}).`);
    copyField(updated, next, fields);
  }
  return updated;
}

function copyField(target: object, source: object, [field = "", ...rest]: string[]): void {
  const [to, from] = [target, source] as Record<string, unknown>[];
  if (!to) return;
  if (rest.length === 0) to[field] = from?.[field];
  else {
    to[field] ??= {};
    copyField(to[field] as object, (from?.[field] ?? {}) as object, rest);
  }
}

function toCamelCase(text: string): string {
  return text.replaceAll(/_([a-z])/g, (_whole, letter: string) => letter.toUpperCase());
}
