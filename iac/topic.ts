import { PubsubTopic } from "@cdktf/provider-google/lib/pubsub-topic/index.js";
import { PubsubTopicIamMember } from "@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { memberOf } from "./names.ts";
import { type Settings, variableOf } from "./settings.ts";

/** The topic of the writes. The API publishes to it, and nobody else does. */
export function createTopic(stack: TerraformStack, { environment, api }: Settings): PubsubTopic {
  const topic = new PubsubTopic(stack, "writes", {
    name: variableOf(api, "PUBSUB_TOPIC"),
    lifecycle: { preventDestroy: true },
  });
  new PubsubTopicIamMember(stack, "writes-publisher", {
    topic: topic.name,
    role: "roles/pubsub.publisher",
    member: memberOf("api", environment.projectId),
  });
  return topic;
}
