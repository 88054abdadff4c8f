import {
  CONNECT_TIMEOUT_MS,
  HOLD_MS,
  LOCK_WAIT_SECONDS,
  STATEMENT_TIMEOUT_MS,
} from "../../common/limits.ts";
import type { Environment } from "../environments.ts";
import type { Settings } from "../settings.ts";
import {
  formatPlace,
  getBlock,
  listResources,
  parseSeconds,
  type Resource,
  refersTo,
  type Stacks,
} from "../terraform-json.ts";
import { checkAccounts } from "./account-checks.ts";
import { checkObservability } from "./observability-checks.ts";
import { checkReceiptRetention, checkRestoreRetention } from "./retention-checks.ts";

/** A message that arrives just after a batch began waits for that batch and then for its own. */
const MAX_BATCHES = 2;
/** Pub/Sub's defaults for a subscription. */
const PUBSUB_DEFAULTS = {
  ackDeadlineSeconds: 10,
  retentionSeconds: 7 * 24 * 3600,
  deliveryAttempts: 5,
};
const PUBSUB_AGENT = "@gcp-sa-pubsub.iam.gserviceaccount.com";

/**
 * Returns a sentence for each unsafe setting in the stacks. The checks read Terraform's JSON and not
 * the code that produces it, so they also apply to resources that are added later.
 */
export function checkStacks(stacks: Stacks, settings: Settings): string[] {
  const { environment } = settings;
  const subscriptions = listResources(stacks, "google_pubsub_subscription");
  return [
    ...subscriptions.flatMap((subscription) => [
      ...checkAckDeadline(subscription, environment),
      ...checkRetention(subscription, environment),
      ...checkReceiptRetention(subscription, stacks, settings),
      ...checkRestoreRetention(subscription, stacks),
      ...checkExpiration(subscription),
      ...checkAudience(subscription),
      ...checkDeadLetters(subscription, stacks),
      ...checkAttempts(subscription, environment),
    ]),
    ...listResources(stacks, "google_sql_database_instance").flatMap(checkDatabaseAddress),
    ...checkAccounts(stacks),
    ...checkObservability(stacks),
  ];
}

/** A message not acknowledged by its deadline is redelivered, to the same slow database. */
function checkAckDeadline(subscription: Resource, { delivery }: Environment): string[] {
  if (subscription.properties.bigquery_config) return [];
  const held = delivery === "push" ? HOLD_MS.push : 0;
  const batchSeconds =
    (held + CONNECT_TIMEOUT_MS + STATEMENT_TIMEOUT_MS) / 1_000 + LOCK_WAIT_SECONDS;
  const longest = MAX_BATCHES * batchSeconds;
  const deadline = Number(
    subscription.properties.ack_deadline_seconds ?? PUBSUB_DEFAULTS.ackDeadlineSeconds,
  );
  if (deadline >= longest) return [];
  return [
    `${formatPlace(subscription)}: ack_deadline_seconds is ${deadline}, but ${MAX_BATCHES} of` +
      ` the longest batches take ${longest} s, ${LOCK_WAIT_SECONDS} s of each a lock wait` +
      ` (common/limits.ts).`,
  ];
}

/** Pub/Sub deletes a message after its retention, settled or not. */
function checkRetention(subscription: Resource, environment: Environment): string[] {
  const { message_retention_duration: duration } = subscription.properties;
  const seconds = parseSeconds(duration) ?? PUBSUB_DEFAULTS.retentionSeconds;
  const { toleratedOutageHours } = environment;
  if (seconds > toleratedOutageHours * 3600) return [];
  return [
    `${formatPlace(subscription)}: message_retention_duration is ${seconds / 3600} h, but an outage of` +
      ` ${toleratedOutageHours} h must be tolerated (iac/environments.ts).`,
  ];
}

/** Pub/Sub deletes a subscription, with its messages, after this long without activity. */
function checkExpiration(subscription: Resource): string[] {
  const policy = getBlock(subscription.properties, "expiration_policy");
  if (policy?.ttl === "") return [];
  const after = policy ? `after ${policy.ttl}` : "after 31 days, the default,";
  return [
    `${formatPlace(subscription)}: expires ${after} without traffic; it needs expiration_policy with` +
      ` ttl "", which means never.`,
  ];
}

/** Without an audience of its own, a token for another receiver would be accepted too. */
function checkAudience(subscription: Resource): string[] {
  const push = getBlock(subscription.properties, "push_config");
  const token = getBlock(push, "oidc_token");
  if (!push || (token?.audience && token.service_account_email)) return [];
  const lacking = token?.service_account_email ? "audience" : "oidc_token";
  return [
    `${formatPlace(subscription)}: pushes to ${push.push_endpoint} without ${lacking}; the` +
      ` subscriber requires both (PUSH_AUDIENCE in subscriber.yaml).`,
  ];
}

/** Without a subscription, dead letters are discarded; without the grants, they are not forwarded. */
function checkDeadLetters(subscription: Resource, stacks: Stacks): string[] {
  const policy = getBlock(subscription.properties, "dead_letter_policy");
  if (!policy) return [];
  const place = formatPlace(subscription);
  const topic = listResources(stacks, "google_pubsub_topic").find((one) =>
    refersTo(policy.dead_letter_topic, one),
  );
  if (!topic)
    return [`${place}: its dead-letter topic ${policy.dead_letter_topic} does not exist.`];
  const faults = [];
  const hasReader = listResources(stacks, "google_pubsub_subscription").some((one) =>
    refersTo(one.properties.topic, topic),
  );
  if (!hasReader) {
    faults.push(`${place}: ${topic.address} has no subscription, so dead letters are discarded.`);
  }
  const grants = [
    { kind: "topic", on: topic, role: "roles/pubsub.publisher" },
    { kind: "subscription", on: subscription, role: "roles/pubsub.subscriber" },
  ];
  for (const { kind, on, role } of grants) {
    const isGranted = listResources(stacks, `google_pubsub_${kind}_iam_member`).some(
      ({ properties }) =>
        refersTo(properties[kind], on) &&
        properties.role === role &&
        String(properties.member).endsWith(PUBSUB_AGENT),
    );
    if (isGranted) continue;
    faults.push(`${place}: Pub/Sub's service agent lacks ${role} on ${on.address}.`);
  }
  return faults;
}

/** Each failed delivery counts as an attempt, so an outage could turn valid writes into dead letters. */
function checkAttempts(subscription: Resource, environment: Environment): string[] {
  const policy = getBlock(subscription.properties, "dead_letter_policy");
  if (!policy) return [];
  const attempts = Number(policy.max_delivery_attempts ?? PUBSUB_DEFAULTS.deliveryAttempts);
  const retry = getBlock(subscription.properties, "retry_policy");
  const [first, most] = [
    parseSeconds(retry?.minimum_backoff),
    parseSeconds(retry?.maximum_backoff),
  ];
  let seconds = 0;
  for (let pause = 1; pause < attempts; pause += 1) {
    // Without a retry policy, a message is redelivered immediately.
    seconds += retry ? Math.min((first ?? 10) * 2 ** (pause - 1), most ?? 600) : 0;
  }
  const { toleratedOutageHours } = environment;
  if (seconds >= toleratedOutageHours * 3600) return [];
  return [
    `${formatPlace(subscription)}: ${attempts} delivery attempts last ${(seconds / 3600).toFixed(1)} h,` +
      ` but an outage of ${toleratedOutageHours} h must be tolerated (iac/environments.ts).`,
  ];
}

/** From an authorised network, only the password protects MySQL. */
function checkDatabaseAddress(instance: Resource): string[] {
  const address = getBlock(getBlock(instance.properties, "settings"), "ip_configuration");
  const networks = (address?.authorized_networks ?? []) as { value?: string }[];
  if (!address?.ipv4_enabled || networks.length === 0) return [];
  return [
    `${formatPlace(instance)}: has a public address and ${networks.length} authorised networks` +
      ` (${networks.map(({ value }) => value).join(", ")}); none is allowed.`,
  ];
}
