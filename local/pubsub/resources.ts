import { failedPrecondition, notFound } from "./errors.ts";
import { deserializeMessage, type Record, serializeMessage } from "./journal.ts";
import type { Subscription } from "./subscriptions/subscription.ts";
import { type Snapshot, Topic } from "./topic.ts";

export type SubscriptionRecord = Extract<Record, { kind: "subscription" }>;

/** The name that a subscription has for a deleted topic. */
const DELETED_TOPIC = "_deleted-topic_";

/** All topics, subscriptions and snapshots. Records change them, and describe them. */
export class Resources {
  readonly topics = new Map<string, Topic>();
  readonly subscriptions = new Map<string, Subscription>();
  readonly snapshots = new Map<string, Snapshot>();
  readonly #make: (record: SubscriptionRecord) => Subscription;
  readonly #onChange: (subscription: Subscription) => void;

  /** `make` creates a subscription; `onChange` is called when one is created, changed or deleted. */
  constructor(
    make: (record: SubscriptionRecord) => Subscription,
    onChange: (subscription: Subscription) => void,
  ) {
    this.#make = make;
    this.#onChange = onChange;
  }

  findTopic(name: string): Topic {
    const topic = this.topics.get(name);
    if (!topic) throw notFound(name);
    return topic;
  }

  findSubscription(name: string): Subscription {
    const subscription = this.subscriptions.get(name);
    if (!subscription) throw notFound(name);
    return subscription;
  }

  findSnapshot(name: string): Snapshot {
    const snapshot = this.snapshots.get(name);
    if (!snapshot) throw notFound(name);
    return snapshot;
  }

  findTopicOfResource({ config }: { config: { topic?: string | null } }): Topic | undefined {
    return this.topics.get(config.topic ?? "");
  }

  apply(record: Record): void {
    switch (record.kind) {
      case "topic":
        this.#applyTopic(record);
        break;
      case "topicGone":
        this.#applyTopicGone(record.name);
        break;
      case "subscription":
        this.#applySubscription(record);
        break;
      case "subscriptionGone":
        this.#applySubscriptionGone(record.name);
        break;
      case "published":
        this.topics.get(record.topic)?.add(record.messages.map(deserializeMessage));
        break;
      case "settled":
        this.subscriptions.get(record.subscription)?.settle(record.ids);
        break;
      case "backlog":
        this.subscriptions
          .get(record.subscription)
          ?.replace(record.messages.map(deserializeMessage));
        break;
      case "snapshot":
        this.putSnapshot({
          config: record.snapshot,
          messages: record.messages.map(deserializeMessage),
        });
        break;
      case "snapshotGone":
        this.#applySnapshotGone(record.name);
    }
  }

  /** Records that rebuild the present state. */
  *describe(): Generator<Record> {
    for (const { config } of this.topics.values()) yield { kind: "topic", topic: config };
    for (const { config, uid, createdAtMs, backlog } of this.subscriptions.values()) {
      yield { kind: "subscription", config, uid, createdAtMs };
      yield {
        kind: "backlog",
        subscription: config.name ?? "",
        messages: backlog.map(serializeMessage),
      };
    }
    for (const { config, messages } of this.snapshots.values())
      yield { kind: "snapshot", snapshot: config, messages: messages.map(serializeMessage) };
  }

  putSnapshot(snapshot: Snapshot): void {
    const found = this.snapshots.get(snapshot.config.name ?? "");
    if (found) found.config = snapshot.config;
    else {
      this.snapshots.set(snapshot.config.name ?? "", snapshot);
      this.findTopicOfResource(snapshot)?.snapshots.add(snapshot);
    }
  }

  #applyTopic({ topic }: Extract<Record, { kind: "topic" }>): void {
    const found = this.topics.get(topic.name ?? "");
    if (found) found.config = topic;
    else this.topics.set(topic.name ?? "", new Topic(topic));
  }

  #applyTopicGone(name: string): void {
    const topic = this.topics.get(name);
    for (const one of [...(topic?.subscriptions ?? []), ...(topic?.snapshots ?? [])])
      one.config = { ...one.config, topic: DELETED_TOPIC };
    this.topics.delete(name);
  }

  #applySubscription(record: SubscriptionRecord): void {
    const { config } = record;
    const found = this.subscriptions.get(config.name ?? "");
    const subscription = found ?? this.#make(record);
    subscription.config = config;
    this.subscriptions.set(config.name ?? "", subscription);
    if (config.detached) {
      this.findTopicOfResource(subscription)?.subscriptions.delete(subscription);
      subscription.endConsumers(failedPrecondition("The subscription was detached."));
      subscription.clear();
    } else this.findTopicOfResource(subscription)?.subscriptions.add(subscription);
    this.#onChange(subscription);
  }

  #applySubscriptionGone(name: string): void {
    const subscription = this.findSubscription(name);
    this.subscriptions.delete(name);
    this.findTopicOfResource(subscription)?.subscriptions.delete(subscription);
    subscription.endConsumers(notFound(name));
    subscription.clear();
    this.#onChange(subscription);
  }

  #applySnapshotGone(name: string): void {
    const snapshot = this.findSnapshot(name);
    this.snapshots.delete(name);
    this.findTopicOfResource(snapshot)?.snapshots.delete(snapshot);
  }
}
