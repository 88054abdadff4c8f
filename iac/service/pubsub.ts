import {
  PubsubSubscription,
  type PubsubSubscriptionPushConfig,
} from "@cdktf/provider-google/lib/pubsub-subscription/index.js";
import { PubsubSubscriptionIamMember } from "@cdktf/provider-google/lib/pubsub-subscription-iam-member/index.js";
import type { PubsubTopic } from "@cdktf/provider-google/lib/pubsub-topic/index.js";
import type { TerraformStack } from "cdktf";
import { getIamMember, getPubsubAgent, getServiceAccountEmail } from "../names.ts";
import { getVariable, type Settings } from "../settings.ts";

/** More than the longest batch with the one before it; checked against the limits of both. */
export const ACK_DEADLINE_SECONDS = 60;
/** The topic's own default. What is not settled by then is lost, so nothing may take that long. */
const RETENTION_SECONDS = 7 * 24 * 3600;
/** The most that Pub/Sub allows, so that a long outage makes no dead letters of good writes. */
const DELIVERY_ATTEMPTS = 100;
/**
 * A hiccup is over in a second. Later the pauses double up to the longest that Pub/Sub allows,
 * which stretches the attempts over half a day.
 */
export const RETRY = { minimumBackoff: "1s", maximumBackoff: "600s" };

/** Of the stack `platform`, what a push and the agent's grants need. */
export type Platform = { hostname: string; projectNumber: string };

/** The subscription that settles the writes, by push to the subscriber or pulled by it. */
export function createSubscription(
  stack: TerraformStack,
  settings: Settings,
  platform: Platform,
  topics: { writes: PubsubTopic; deadLetters: PubsubTopic },
): void {
  const subscription = new PubsubSubscription(stack, "settle", {
    name: getVariable(settings.subscriber, "PUBSUB_SUBSCRIPTION"),
    topic: topics.writes.id,
    ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
    messageRetentionDuration: `${RETENTION_SECONDS}s`,
    retryPolicy: RETRY,
    deadLetterPolicy: {
      deadLetterTopic: topics.deadLetters.id,
      maxDeliveryAttempts: DELIVERY_ATTEMPTS,
    },
    ...shared(settings, platform, "/push"),
  });
  // Forwarding a dead letter is publishing it there and acknowledging it here.
  new PubsubSubscriptionIamMember(stack, "settle-forwarder", {
    subscription: subscription.name,
    role: "roles/pubsub.subscriber",
    member: getPubsubAgent(platform.projectNumber),
  });
  grantPull(stack, settings, subscription);
}

/** What all subscriptions that the subscriber serves have in common. */
export function shared(settings: Settings, platform: Platform, path: string) {
  return {
    // Without it, 31 quiet days delete the subscription, and every write after that is lost.
    expirationPolicy: { ttl: "" },
    ...(settings.environment.delivery === "push"
      ? { pushConfig: pushTo(settings, platform, path) }
      : {}),
    lifecycle: { preventDestroy: true },
  };
}

/** With a worker pool, the subscriber is the one who pulls; pushes need no grant. */
export function grantPull(
  stack: TerraformStack,
  { environment }: Settings,
  subscription: PubsubSubscription,
): void {
  if (environment.delivery === "push") return;
  new PubsubSubscriptionIamMember(stack, `${subscription.node.id}-puller`, {
    subscription: subscription.name,
    role: "roles/pubsub.subscriber",
    member: getIamMember("subscriber", environment.projectId),
  });
}

function pushTo(
  { environment, subscriber }: Settings,
  { hostname }: Platform,
  path: string,
): PubsubSubscriptionPushConfig {
  return {
    pushEndpoint: `https://${subscriber.service}-dot-${hostname}${path}`,
    oidcToken: {
      serviceAccountEmail: getServiceAccountEmail("push", environment.projectId),
      audience: getVariable(subscriber, "PUSH_AUDIENCE"),
    },
  };
}
