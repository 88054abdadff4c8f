import { PubsubTopic } from "@cdktf/provider-google/lib/pubsub-topic/index.js";
import { PubsubTopicIamMember } from "@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { getIamMember } from "../names.ts";
import { getVariable, type Settings } from "../settings.ts";

/** The topic of the writes. The API publishes to it, and nobody else does. */
export function createTopic(stack: TerraformStack, { environment, api }: Settings): PubsubTopic {
  const topic = new PubsubTopic(stack, "writes", {
    name: getVariable(api, "PUBSUB_TOPIC"),
    lifecycle: { preventDestroy: true },
  });
  new PubsubTopicIamMember(stack, "writes-publisher", {
    topic: topic.name,
    role: "roles/pubsub.publisher",
    member: getIamMember("api", environment.projectId),
  });
  return topic;
}
