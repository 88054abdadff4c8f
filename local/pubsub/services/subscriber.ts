import type { Broker } from "../broker.ts";
import { alreadyExists, invalidArgument } from "../errors.ts";
import { checkExtension, checkMaxMessages, checkName, checkPullable } from "../limits.ts";
import {
  type PushConfig,
  type SnapshotConfig,
  type SubscriptionConfig,
  type Timestamp,
  toMs,
  toTimestamp,
} from "../wire.ts";
import { type Answer, type Cancellable, paginate } from "./calls.ts";
import { pullOnce } from "./pull.ts";
import { completePush, completeSubscription, updateConfig } from "./subscription-config.ts";

type Named = { subscription?: string };
type Page = { project?: string; pageSize?: number; pageToken?: string };
type Pull = Named & { maxMessages?: number; returnImmediately?: boolean };
type Mask = { updateMask?: { paths: string[] } };

/** Production's: the snapshot's own life counts from its oldest message. */
const SNAPSHOT_LIFE_MS = 7 * 24 * 3_600_000;

/** `google.pubsub.v1.Subscriber`, without the streaming pull. */
export function createSubscriberService(broker: Broker): Record<string, Answer> {
  const find = ({ subscription = "" }: Named) => broker.resources.findSubscription(subscription);
  const change = async (name: string, config: SubscriptionConfig) => {
    const { uid, createdAtMs } = broker.resources.findSubscription(name);
    const topic = config.deadLetterPolicy?.deadLetterTopic;
    if (topic) broker.resources.findTopic(topic);
    await broker.commit({ kind: "subscription", config, uid, createdAtMs });
    return describe(config);
  };
  /** With the topic's retention, which only answers have. */
  const describe = (config: SubscriptionConfig) => {
    const retention = broker.resources.topics.get(config.topic ?? "")?.config
      .messageRetentionDuration;
    return retention ? { ...config, topicMessageRetentionDuration: retention } : config;
  };

  return {
    async createSubscription(asked: SubscriptionConfig) {
      const config = completeSubscription(asked);
      const name = config.name ?? "";
      broker.resources.findTopic(config.topic ?? "");
      if (broker.resources.subscriptions.has(name)) throw alreadyExists(name);
      const deadLetterTopic = config.deadLetterPolicy?.deadLetterTopic;
      if (deadLetterTopic) broker.resources.findTopic(deadLetterTopic);
      const createdAtMs = Date.now();
      await broker.commit({ kind: "subscription", config, uid: broker.nextUid(), createdAtMs });
      return describe(config);
    },

    getSubscription: (request: Named) => describe(find(request).config),

    updateSubscription(request: Mask & { subscription: SubscriptionConfig }) {
      const name = request.subscription.name ?? "";
      const { config } = broker.resources.findSubscription(name);
      const paths = request.updateMask?.paths ?? [];
      const updated = updateConfig(config, request.subscription, paths);
      return change(name, completeSubscription(updated));
    },

    listSubscriptions({ project = "", ...page }: Page) {
      const all = [...broker.resources.subscriptions.values()].map(({ config }) => config);
      const own = all.filter(({ name }) => name?.startsWith(`${project}/`));
      const { page: found, nextPageToken } = paginate(own, page);
      return { subscriptions: found.map(describe), nextPageToken };
    },

    async deleteSubscription(request: Named) {
      await broker.commit({ kind: "subscriptionGone", name: find(request).config.name ?? "" });
      return {};
    },

    async modifyPushConfig(request: Named & { pushConfig?: PushConfig }) {
      const { config } = find(request);
      const pushConfig = completePush(request.pushConfig);
      await change(config.name ?? "", { ...config, pushConfig });
      return {};
    },

    modifyAckDeadline(request: Named & { ackIds: string[]; ackDeadlineSeconds?: number }) {
      const subscription = find(request);
      checkAckIds(request.ackIds);
      subscription.modify(request.ackIds, checkExtension(request.ackDeadlineSeconds ?? 0));
      return {};
    },

    acknowledge(request: Named & { ackIds: string[] }) {
      const subscription = find(request);
      checkAckIds(request.ackIds);
      subscription.acknowledge(request.ackIds);
      return {};
    },

    async pull(request: Pull, call: Cancellable) {
      const subscription = find(request);
      const { pushConfig, detached } = subscription.config;
      checkPullable(Boolean(pushConfig?.pushEndpoint), Boolean(detached));
      checkMaxMessages(request.maxMessages ?? 0);
      return { receivedMessages: await pullOnce(subscription, request, call) };
    },

    async createSnapshot(asked: SnapshotConfig & Named) {
      const name = checkName("snapshots", asked.name ?? "");
      const { backlog, config } = find(asked);
      if (broker.resources.snapshots.has(name)) throw alreadyExists(name);
      const oldestMs = Math.min(Date.now(), ...backlog.slice(0, 1).map((one) => one.publishedAtMs));
      const snapshot: SnapshotConfig = {
        name,
        topic: config.topic,
        labels: asked.labels,
        expireTime: toTimestamp(oldestMs + SNAPSHOT_LIFE_MS),
      };
      await broker.commitSnapshot(snapshot, backlog);
      return snapshot;
    },

    getSnapshot: ({ snapshot = "" }: { snapshot?: string }) =>
      broker.resources.findSnapshot(snapshot).config,

    async updateSnapshot(request: Mask & { snapshot: SnapshotConfig }) {
      const found = broker.resources.findSnapshot(request.snapshot.name ?? "");
      const paths = request.updateMask?.paths ?? [];
      const mutable = new Set(["labels", "expireTime"]);
      const snapshot = updateConfig(found.config, request.snapshot, paths, mutable);
      await broker.commitSnapshot(snapshot, found.messages);
      return snapshot;
    },

    listSnapshots({ project = "", ...page }: Page) {
      const all = [...broker.resources.snapshots.values()].map(({ config }) => config);
      const own = all.filter(({ name }) => name?.startsWith(`${project}/`));
      const { page: snapshots, nextPageToken } = paginate(own, page);
      return { snapshots, nextPageToken };
    },

    async deleteSnapshot({ snapshot = "" }: { snapshot?: string }) {
      broker.resources.findSnapshot(snapshot);
      await broker.commit({ kind: "snapshotGone", name: snapshot });
      return {};
    },

    async seek(request: Named & { time?: Timestamp; snapshot?: string }) {
      const subscription = find(request);
      if (request.snapshot) {
        const { config, messages } = broker.resources.findSnapshot(request.snapshot);
        if (config.topic !== subscription.config.topic)
          throw invalidArgument("The snapshot's topic is not the subscription's.");
        await broker.seekToMessages(subscription, messages);
      } else if (request.time) await broker.seekToTime(subscription, toMs(request.time));
      else throw invalidArgument("A time or a snapshot to seek to must be given.");
      return {};
    },
  };
}

function checkAckIds(ackIds: readonly string[]): void {
  if (ackIds.length === 0) throw invalidArgument("The ack_ids must not be empty.");
}
