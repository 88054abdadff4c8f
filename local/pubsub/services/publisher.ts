import type { Broker } from "../broker.ts";
import { alreadyExists, unimplemented } from "../errors.ts";
import { checkName, checkRetention } from "../limits.ts";
import type { TopicConfig } from "../wire.ts";
import type { Answer } from "./calls.ts";
import { paginate } from "./calls.ts";
import { updateConfig } from "./subscription-config.ts";

type Page = { pageSize?: number; pageToken?: string };

const MUTABLE = new Set(["labels", "messageRetentionDuration", "messageStoragePolicy"]);

/** `google.pubsub.v1.Publisher`. */
export function createPublisherService(broker: Broker): Record<string, Answer> {
  return {
    async createTopic(asked: TopicConfig) {
      const name = checkName("topics", asked.name ?? "");
      if (broker.resources.topics.has(name)) throw alreadyExists(name);
      const topic = checkTopic({ ...asked, state: "ACTIVE" });
      await broker.commit({ kind: "topic", topic });
      return topic;
    },

    async updateTopic(request: { topic: TopicConfig; updateMask?: { paths: string[] } }) {
      const { config } = broker.resources.findTopic(request.topic.name ?? "");
      const paths = request.updateMask?.paths ?? [];
      const topic = checkTopic(updateConfig(config, request.topic, paths, MUTABLE));
      await broker.commit({ kind: "topic", topic });
      return topic;
    },

    async publish({ topic = "", messages }: { topic?: string; messages: Buffer[] }) {
      return { messageIds: await broker.publish(topic, messages) };
    },

    getTopic: ({ topic = "" }: { topic?: string }) => broker.resources.findTopic(topic).config,

    listTopics({ project = "", ...page }: Page & { project?: string }) {
      const names = [...broker.resources.topics.keys()].filter((name) =>
        name.startsWith(`${project}/`),
      );
      const { page: found, nextPageToken } = paginate(names, page);
      return {
        topics: found.map((name) => broker.resources.findTopic(name).config),
        nextPageToken,
      };
    },

    listTopicSubscriptions({ topic = "", ...page }: Page & { topic?: string }) {
      const { subscriptions } = broker.resources.findTopic(topic);
      const names = [...subscriptions].map(({ config }) => config.name ?? "");
      const { page: found, nextPageToken } = paginate(names, page);
      return { subscriptions: found, nextPageToken };
    },

    listTopicSnapshots({ topic = "", ...page }: Page & { topic?: string }) {
      const names = [...broker.resources.findTopic(topic).snapshots].map(
        ({ config }) => config.name ?? "",
      );
      const { page: found, nextPageToken } = paginate(names, page);
      return { snapshots: found, nextPageToken };
    },

    async deleteTopic({ topic = "" }: { topic?: string }) {
      broker.resources.findTopic(topic);
      await broker.commit({ kind: "topicGone", name: topic });
      return {};
    },

    async detachSubscription({ subscription: name = "" }: { subscription?: string }) {
      const { config, uid, createdAtMs } = broker.resources.findSubscription(name);
      const detached = { ...config, detached: true };
      await broker.commit({ kind: "subscription", config: detached, uid, createdAtMs });
      return {};
    },
  };
}

function checkTopic(topic: TopicConfig): TopicConfig {
  if (topic.messageRetentionDuration) checkRetention(topic.messageRetentionDuration);
  if (topic.schemaSettings) throw unimplemented("schemaSettings");
  if (topic.ingestionDataSourceSettings) throw unimplemented("ingestionDataSourceSettings");
  if (topic.messageTransforms?.length) throw unimplemented("messageTransforms");
  return topic;
}
