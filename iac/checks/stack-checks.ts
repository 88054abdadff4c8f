import {
  CONNECT_TIMEOUT_MS,
  HOLD_MS,
  LOCK_WAIT_SECONDS,
  STATEMENT_TIMEOUT_MS,
} from "../../common/limits.ts";
import type { Environment } from "../environments.ts";
import type { Settings } from "../settings.ts";
import {
  getBlock,
  listResources,
  type Resource,
  refersTo,
  type Stacks,
} from "../terraform-json.ts";
import { checkWatching } from "./observability-checks.ts";

/** A message may come just as a batch begins, and then waits for that one before its own. */
const BATCHES_WAITED_FOR = 2;
/** What Pub/Sub does where a subscription does not say. */
const PUBSUB_DEFAULTS = {
  ackDeadlineSeconds: 10,
  retentionSeconds: 7 * 24 * 3600,
  deliveryAttempts: 5,
};
const PUBSUB_AGENT = "@gcp-sa-pubsub.iam.gserviceaccount.com";

/**
 * What is unsafe in what is about to be applied. The checks look at the result and not at the code
 * that made it, so that they also find what somebody adds later, in whatever way.
 */
export function checkStacks(stacks: Stacks, { environment }: Settings): string[] {
  const subscriptions = listResources(stacks, "google_pubsub_subscription");
  return [
    ...subscriptions.flatMap((subscription) => [
      ...checkAckDeadline(subscription, environment),
      ...checkRetention(subscription, environment),
      ...checkExpiration(subscription),
      ...checkAudience(subscription),
      ...checkDeadLetters(subscription, stacks),
      ...checkAttempts(subscription, environment),
    ]),
    ...listResources(stacks, "google_sql_database_instance").flatMap(checkDatabaseAddress),
    ...checkWatching(stacks),
  ];
}

/** A message that is still at work at its deadline is delivered again, to the same slow database. */
function checkAckDeadline(subscription: Resource, { delivery }: Environment): string[] {
  if (subscription.properties.bigquery_config) return [];
  const held = delivery === "push" ? HOLD_MS.push : 0;
  const batchSeconds =
    (held + CONNECT_TIMEOUT_MS + STATEMENT_TIMEOUT_MS) / 1_000 + LOCK_WAIT_SECONDS;
  const longest = BATCHES_WAITED_FOR * batchSeconds;
  const deadline = Number(
    subscription.properties.ack_deadline_seconds ?? PUBSUB_DEFAULTS.ackDeadlineSeconds,
  );
  if (deadline >= longest) return [];
  return [
    `${getPlace(subscription)}: ack_deadline_seconds is ${deadline}, but ${BATCHES_WAITED_FOR} of` +
      ` the longest batches take ${longest} s, ${LOCK_WAIT_SECONDS} s of each a lock wait` +
      ` (common/limits.ts).`,
  ];
}

/** What is not settled by the end of its retention is lost without a trace. */
function checkRetention(subscription: Resource, environment: Environment): string[] {
  const { message_retention_duration: duration } = subscription.properties;
  const seconds = getSeconds(duration) ?? PUBSUB_DEFAULTS.retentionSeconds;
  const { toleratedOutageHours } = environment;
  if (seconds > toleratedOutageHours * 3600) return [];
  return [
    `${getPlace(subscription)}: message_retention_duration is ${seconds / 3600} h, but an outage of` +
      ` ${toleratedOutageHours} h is to be tolerated (iac/environments.ts).`,
  ];
}

/** Pub/Sub deletes a subscription that nobody asked for so long, and its messages with it. */
function checkExpiration(subscription: Resource): string[] {
  const policy = getBlock(subscription.properties, "expiration_policy");
  if (policy?.ttl === "") return [];
  const after = policy ? `after ${policy.ttl}` : "after 31 days, the default,";
  return [
    `${getPlace(subscription)}: expires ${after} without traffic; it needs expiration_policy with` +
      ` ttl "", which is never.`,
  ];
}

/** A token without an audience of its own would be as good at another receiver. */
function checkAudience(subscription: Resource): string[] {
  const push = getBlock(subscription.properties, "push_config");
  const token = getBlock(push, "oidc_token");
  if (!push || (token?.audience && token.service_account_email)) return [];
  const lacking = token?.service_account_email ? "audience" : "oidc_token";
  return [
    `${getPlace(subscription)}: pushes to ${push.push_endpoint} without ${lacking}, and the` +
      ` subscriber lets in only who brings both (PUSH_AUDIENCE in subscriber.yaml).`,
  ];
}

/** Without a subscription dead letters are thrown away; without the grants they never get there. */
function checkDeadLetters(subscription: Resource, stacks: Stacks): string[] {
  const policy = getBlock(subscription.properties, "dead_letter_policy");
  if (!policy) return [];
  const place = getPlace(subscription);
  const topic = listResources(stacks, "google_pubsub_topic").find((one) =>
    refersTo(policy.dead_letter_topic, one),
  );
  if (!topic) return [`${place}: its dead-letter topic ${policy.dead_letter_topic} is not made.`];
  const faults = [];
  const hasReader = listResources(stacks, "google_pubsub_subscription").some((one) =>
    refersTo(one.properties.topic, topic),
  );
  if (!hasReader) {
    faults.push(`${place}: ${topic.address} has no subscription, so dead letters are thrown away.`);
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

/** Each failed delivery is an attempt, so that an outage could turn good writes into dead ones. */
function checkAttempts(subscription: Resource, environment: Environment): string[] {
  const policy = getBlock(subscription.properties, "dead_letter_policy");
  if (!policy) return [];
  const attempts = Number(policy.max_delivery_attempts ?? PUBSUB_DEFAULTS.deliveryAttempts);
  const retry = getBlock(subscription.properties, "retry_policy");
  const [first, most] = [getSeconds(retry?.minimum_backoff), getSeconds(retry?.maximum_backoff)];
  let seconds = 0;
  for (let pause = 1; pause < attempts; pause += 1) {
    // Without a policy, a message is delivered again at once.
    seconds += retry ? Math.min((first ?? 10) * 2 ** (pause - 1), most ?? 600) : 0;
  }
  const { toleratedOutageHours } = environment;
  if (seconds >= toleratedOutageHours * 3600) return [];
  return [
    `${getPlace(subscription)}: ${attempts} delivery attempts last ${(seconds / 3600).toFixed(1)} h,` +
      ` but an outage of ${toleratedOutageHours} h is to be tolerated (iac/environments.ts).`,
  ];
}

/** Whoever is in such a network knocks at MySQL itself, with a password as the only lock. */
function checkDatabaseAddress(instance: Resource): string[] {
  const address = getBlock(getBlock(instance.properties, "settings"), "ip_configuration");
  const networks = (address?.authorized_networks ?? []) as { value?: string }[];
  if (!address?.ipv4_enabled || networks.length === 0) return [];
  return [
    `${getPlace(instance)}: has a public address and lets in ${networks.length} authorised` +
      ` networks (${networks.map(({ value }) => value).join(", ")}); 0 may be let in.`,
  ];
}

/** The file where one begins to look, and Terraform's name of the resource. */
function getPlace({ stack, address }: Resource): string {
  return `iac/${stack}.ts, ${address}`;
}

function getSeconds(duration: unknown): number | undefined {
  const [, seconds] = /^([\d.]+)s$/.exec(String(duration)) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}
