import { PubsubSubscription } from "@cdktf/provider-google/lib/pubsub-subscription/index.js";
import { PubsubTopic } from "@cdktf/provider-google/lib/pubsub-topic/index.js";
import { PubsubTopicIamMember } from "@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { DEAD_LETTER_TOPIC, getPubsubAgent } from "../names.ts";
import { getVariable, type Settings } from "../settings.ts";
import { ACK_DEADLINE_SECONDS, grantPull, type Platform, RETRY, shared } from "./pubsub.ts";

/** The longest that Pub/Sub keeps a message: nobody hurries to look at a dead letter. */
const RETENTION_SECONDS = 31 * 24 * 3600;

/**
 * Where messages go that Pub/Sub delivered as often as it may, and the subscription that writes
 * them down as dead: a topic without one throws them away. It has no dead-letter policy of its
 * own, since there is nowhere further to go.
 */
export function createDeadLetters(
  stack: TerraformStack,
  settings: Settings,
  platform: Platform,
): PubsubTopic {
  const topic = new PubsubTopic(stack, "dead-letters", {
    name: DEAD_LETTER_TOPIC,
    lifecycle: { preventDestroy: true },
  });
  new PubsubTopicIamMember(stack, "dead-letters-publisher", {
    topic: topic.name,
    role: "roles/pubsub.publisher",
    member: getPubsubAgent(platform.projectNumber),
  });
  const subscription = new PubsubSubscription(stack, "keep", {
    name: getVariable(settings.subscriber, "PUBSUB_DEAD_LETTER_SUBSCRIPTION"),
    topic: topic.id,
    ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
    messageRetentionDuration: `${RETENTION_SECONDS}s`,
    retryPolicy: RETRY,
    ...shared(settings, platform, "/push/dead-letters"),
  });
  grantPull(stack, settings, subscription);
  return topic;
}
