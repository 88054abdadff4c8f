import { failedPrecondition } from "./errors.ts";
import type { Faults } from "./faults.ts";
import { type Journal, NO_JOURNAL, type Record, serializeMessage } from "./journal.ts";
import { checkContent, checkPublish } from "./limits.ts";
import { Pusher } from "./push.ts";
import { Resources, type SubscriptionRecord } from "./resources.ts";
import { Subscription } from "./subscriptions/subscription.ts";
import type { TokenSigner } from "./tokens.ts";
import type { Topic } from "./topic.ts";
import {
  type Content,
  decodeMessage,
  type Message,
  type SnapshotConfig,
  stampMessage,
  toMs,
} from "./wire.ts";

const SWEEP_INTERVAL_MS = 60_000;

/**
 * Changes the resources. Each change is a record: it is applied, and appended to the journal, which
 * the next start replays.
 */
export class Broker {
  readonly resources = new Resources(
    (record) => this.#makeSubscription(record),
    (subscription) => this.#configurePush(subscription),
  );
  readonly faults: Faults;
  readonly #signer: TokenSigner;
  readonly #pushers = new Map<Subscription, Pusher>();
  #sweep: NodeJS.Timeout | undefined;
  #journal: Journal = NO_JOURNAL;
  #isStarted = false;
  /** As in production, increasing numbers; unique also across restarts. */
  #lastMessageId = Date.now() * 1_000;

  constructor(options: { faults: Faults; signer: TokenSigner }) {
    this.faults = options.faults;
    this.#signer = options.signer;
  }

  /** Starts to write to the journal and to push; until then, records are only applied. */
  start(journal: Journal): void {
    this.#journal = journal;
    this.#isStarted = true;
    this.#sweep = setInterval(() => this.#expire(Date.now()), SWEEP_INTERVAL_MS);
    for (const subscription of this.resources.subscriptions.values())
      this.#configurePush(subscription);
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    for (const pusher of this.#pushers.values()) pusher.stop();
    await this.#journal.close();
    for (const subscription of this.resources.subscriptions.values()) subscription.clear();
  }

  /** Puts messages on a topic; returns their ids once they are in the journal. */
  async publish(topicName: string, raws: readonly Buffer[]): Promise<string[]> {
    const topic = this.resources.findTopic(topicName);
    checkPublish(raws);
    const contents = raws.map(decodeMessage);
    contents.forEach(checkContent);
    const now = Date.now();
    const messages = raws.map((raw, index) =>
      stampMessage(raw, contents[index] as Content, this.#nextMessageId(), now),
    );
    this.#publish(topic, messages);
    await this.#journal.written();
    return messages.map(({ id }) => id);
  }

  /** Resolves once the change is in the journal. */
  async commit(record: Record): Promise<void> {
    this.resources.apply(record);
    this.#journal.append(record);
    await this.#journal.written();
  }

  /** As `commit`, without encoding the messages in base64 and back. */
  async commitSnapshot(config: SnapshotConfig, messages: readonly Message[]): Promise<void> {
    this.resources.putSnapshot({ config, messages: [...messages] });
    this.#journal.append({
      kind: "snapshot",
      snapshot: config,
      messages: messages.map(serializeMessage),
    });
    await this.#journal.written();
  }

  /** Makes these the unacknowledged messages of a subscription. */
  async seekToMessages(subscription: Subscription, messages: readonly Message[]): Promise<void> {
    const name = subscription.config.name ?? "";
    subscription.replace(messages);
    const { backlog } = subscription;
    this.#journal.append({
      kind: "backlog",
      subscription: name,
      messages: backlog.map(serializeMessage),
    });
    await this.#journal.written();
  }

  /** Retained messages published since then are unacknowledged again; all others are settled. */
  async seekToTime(subscription: Subscription, timeMs: number): Promise<void> {
    const retained =
      this.resources.findTopicOfResource(subscription)?.retainedFor(subscription) ?? [];
    const unacknowledged = [...subscription.backlog, ...retained].filter(
      ({ publishedAtMs }) => publishedAtMs >= timeMs,
    );
    const byId = new Map(unacknowledged.map((message) => [message.id, message]));
    await this.seekToMessages(subscription, [...byId.values()]);
  }

  /** An id of a subscription, unique also across restarts. */
  nextUid(): string {
    return Number(this.#nextMessageId()).toString(36);
  }

  #nextMessageId(): string {
    this.#lastMessageId += 1;
    return String(this.#lastMessageId);
  }

  #publish(topic: Topic, messages: Message[]): void {
    topic.add(messages);
    this.#journal.append({
      kind: "published",
      topic: topic.name,
      messages: messages.map(serializeMessage),
    });
  }

  #makeSubscription({ config, uid, createdAtMs }: SubscriptionRecord): Subscription {
    const name = config.name ?? "";
    const subscription: Subscription = new Subscription({
      config,
      uid,
      createdAtMs,
      faults: this.faults,
      onSettled: (ids) => this.#journal.append({ kind: "settled", subscription: name, ids }),
      onExhausted: (message, attempts) => this.#deadLetter(subscription, message, attempts),
    });
    return subscription;
  }

  /** Starts, changes or ends the pushes, as the subscription's configuration now says. */
  #configurePush(subscription: Subscription): void {
    if (!this.#isStarted) return;
    const { name, pushConfig, detached } = subscription.config;
    this.#pushers.get(subscription)?.stop();
    this.#pushers.delete(subscription);
    const isThere = this.resources.subscriptions.get(name ?? "") === subscription;
    if (!isThere || detached || !pushConfig?.pushEndpoint) return;
    subscription.endConsumers(failedPrecondition("The subscription was changed to push."));
    this.#pushers.set(subscription, new Pusher(subscription, this.#signer, this.faults));
  }

  #deadLetter({ config }: Subscription, message: Message, attempts: number): boolean {
    const topic = this.resources.topics.get(config.deadLetterPolicy?.deadLetterTopic ?? "");
    if (!topic) return false;
    const [, project = "", , name = ""] = (config.name ?? "").split("/");
    const content = decodeMessage(message.bytes);
    const attributes = {
      ...content.attributes,
      CloudPubSubDeadLetterSourceDeliveryCount: String(attempts),
      CloudPubSubDeadLetterSourceSubscription: name,
      CloudPubSubDeadLetterSourceSubscriptionProject: project,
      CloudPubSubDeadLetterSourceTopicPublishTime: new Date(message.publishedAtMs).toISOString(),
    };
    const letter = { ...content, attributes };
    this.#publish(topic, [stampMessage(message.bytes, letter, this.#nextMessageId(), Date.now())]);
    return true;
  }

  #expire(nowMs: number): void {
    for (const topic of this.resources.topics.values()) topic.expire(nowMs);
    for (const [name, subscription] of this.resources.subscriptions) {
      const fromMs = nowMs - toMs(subscription.config.messageRetentionDuration);
      const old = subscription.backlog.filter(({ publishedAtMs }) => publishedAtMs < fromMs);
      if (old.length === 0) continue;
      const ids = old.map(({ id }) => id);
      subscription.settle(ids);
      this.#journal.append({ kind: "settled", subscription: name, ids });
    }
    for (const [name, { config }] of this.resources.snapshots)
      if (toMs(config.expireTime) < nowMs) void this.commit({ kind: "snapshotGone", name });
  }
}
