import {
  PubsubSubscription,
  type PubsubSubscriptionConfig,
} from "@cdktf/provider-google/lib/pubsub-subscription/index.js";
import { PubsubSubscriptionIamMember } from "@cdktf/provider-google/lib/pubsub-subscription-iam-member/index.js";
import { PubsubTopic } from "@cdktf/provider-google/lib/pubsub-topic/index.js";
import { PubsubTopicIamMember } from "@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { MESSAGE_RETENTION_DAYS, UNSETTLED_DAYS } from "../../common/limits.ts";
import {
  DEAD_LETTER_TOPIC,
  getIamMember,
  getPubsubAgent,
  getServiceAccountEmail,
} from "../names.ts";
import { getVariable, type Settings } from "../settings.ts";
import type { Platform } from "../stack.ts";

const DAY_SECONDS = 24 * 3600;
/** Longer than the longest batch and the one before it; a check compares it with common/limits.ts. */
const ACK_DEADLINE_SECONDS = 60;
/** Pub/Sub's maximum, so that an outage does not turn valid writes into dead letters. */
export const DELIVERY_ATTEMPTS = 100;
/**
 * Short failures are retried after a second. The delay doubles up to Pub/Sub's maximum, so that
 * all attempts together span more than half a day.
 */
export const RETRY = { minimumBackoff: "1s", maximumBackoff: "600s" };

/**
 * Both topics, their subscriptions and the grants on them. Returns the topic of the writes, to
 * which only the API may publish.
 */
export function createPubsub(
  stack: TerraformStack,
  settings: Settings,
  platform: Platform,
): PubsubTopic {
  const writes = new PubsubTopic(stack, "writes", {
    name: getVariable(settings.api, "PUBSUB_TOPIC"),
    messageRetentionDuration: formatDays(MESSAGE_RETENTION_DAYS.writes),
    lifecycle: { preventDestroy: true },
  });
  new PubsubTopicIamMember(stack, "writes-publisher", {
    topic: writes.name,
    role: "roles/pubsub.publisher",
    member: getIamMember("api", settings.environment.projectId),
  });
  const deadLetters = createDeadLetters(stack, settings, platform);
  createSubscription(stack, settings, platform, {
    id: "settle",
    name: getVariable(settings.subscriber, "PUBSUB_SUBSCRIPTION"),
    topic: writes.id,
    path: "/push",
    deadLetterTopic: deadLetters.id,
  });
  return writes;
}

/**
 * The topic to which Pub/Sub forwards a message after its last delivery attempt, and the
 * subscription by which the subscriber records it. Without a subscription the topic would discard
 * the message. The subscription has no dead-letter topic of its own.
 */
function createDeadLetters(
  stack: TerraformStack,
  settings: Settings,
  platform: Platform,
): PubsubTopic {
  const topic = new PubsubTopic(stack, "dead-letters", {
    name: DEAD_LETTER_TOPIC,
    messageRetentionDuration: formatDays(MESSAGE_RETENTION_DAYS.deadLetters),
    lifecycle: { preventDestroy: true },
  });
  new PubsubTopicIamMember(stack, "dead-letters-publisher", {
    topic: topic.name,
    role: "roles/pubsub.publisher",
    member: getPubsubAgent(platform.projectNumber),
  });
  createSubscription(stack, settings, platform, {
    id: "keep",
    name: getVariable(settings.subscriber, "PUBSUB_DEAD_LETTER_SUBSCRIPTION"),
    topic: topic.id,
    path: "/push/dead-letters",
  });
  return topic;
}

type SubscriptionOptions = {
  id: string;
  name: string;
  topic: string;
  /** Where the subscriber takes pushes of this subscription. */
  path: string;
  deadLetterTopic?: string;
};

/** A subscription that pushes to the subscriber, or that the worker pool may pull from. */
function createSubscription(
  stack: TerraformStack,
  { environment, subscriber }: Settings,
  { hostname, projectNumber }: Platform,
  options: SubscriptionOptions,
): void {
  const { id, deadLetterTopic } = options;
  const isPush = environment.delivery === "push";
  const config: PubsubSubscriptionConfig = {
    name: options.name,
    topic: options.topic,
    ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
    messageRetentionDuration: formatDays(UNSETTLED_DAYS),
    retryPolicy: RETRY,
    ...(deadLetterTopic && {
      deadLetterPolicy: { deadLetterTopic, maxDeliveryAttempts: DELIVERY_ATTEMPTS },
    }),
    // Never: by default Pub/Sub deletes a subscription after 31 days without activity.
    expirationPolicy: { ttl: "" },
    ...(isPush && {
      pushConfig: {
        pushEndpoint: `https://${subscriber.service}-dot-${hostname}${options.path}`,
        oidcToken: {
          serviceAccountEmail: getServiceAccountEmail("push", environment.projectId),
          audience: getVariable(subscriber, "PUSH_AUDIENCE"),
        },
      },
    }),
    lifecycle: { preventDestroy: true },
  };
  const subscription = new PubsubSubscription(stack, id, config);
  const grant = (grantId: string, member: string) =>
    new PubsubSubscriptionIamMember(stack, grantId, {
      subscription: subscription.name,
      role: "roles/pubsub.subscriber",
      member,
    });
  // To forward a dead letter, Pub/Sub publishes it there and acknowledges it here.
  if (deadLetterTopic) grant(`${id}-forwarder`, getPubsubAgent(projectNumber));
  if (!isPush) grant(`${id}-puller`, getIamMember("subscriber", environment.projectId));
}

function formatDays(days: number): string {
  return `${days * DAY_SECONDS}s`;
}
