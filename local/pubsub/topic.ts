import type { Subscription } from "./subscriptions/subscription.ts";
import { type Message, type SnapshotConfig, type TopicConfig, toMs } from "./wire.ts";

/** A snapshot holds the messages that were unacknowledged then, and all published since. */
export type Snapshot = { config: SnapshotConfig; messages: Message[] };

/** Settled messages kept for a seek, per topic; production has no such limit but the time. */
const RETAINED_BYTES = 64 * 1024 * 1024;

/** A topic, its subscriptions and snapshots, and the messages that it retains for a seek. */
export class Topic {
  config: TopicConfig;
  readonly subscriptions = new Set<Subscription>();
  readonly snapshots = new Set<Snapshot>();
  #retained: Message[] = [];
  #retainedBytes = 0;

  constructor(config: TopicConfig) {
    this.config = config;
  }

  get name(): string {
    return this.config.name ?? "";
  }

  add(messages: readonly Message[]): void {
    for (const subscription of this.subscriptions) subscription.add(messages);
    for (const snapshot of this.snapshots)
      for (const message of messages) snapshot.messages.push(message);
    if (this.#retentionMs > 0) this.#retain(messages);
  }

  /** The retained messages for a subscription; those from before it only by the topic's retention. */
  retainedFor({ config, createdAtMs }: Subscription): Message[] {
    if (this.config.messageRetentionDuration) return this.#retained;
    if (!config.retainAckedMessages) return [];
    return this.#retained.filter(({ publishedAtMs }) => publishedAtMs >= createdAtMs);
  }

  /** Drops messages beyond the retention. */
  expire(nowMs: number): void {
    const fromMs = nowMs - this.#retentionMs;
    this.#drop(this.#retained.filter(({ publishedAtMs }) => publishedAtMs < fromMs).length);
  }

  /** The longest that the topic or one of its subscriptions asks for. */
  get #retentionMs(): number {
    const asked = [...this.subscriptions]
      .filter(({ config }) => config.retainAckedMessages)
      .map(({ config }) => toMs(config.messageRetentionDuration));
    return Math.max(toMs(this.config.messageRetentionDuration), ...asked);
  }

  #retain(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#retained.push(message);
      this.#retainedBytes += message.bytes.length;
    }
    if (this.#retainedBytes <= RETAINED_BYTES) return;
    let dropped = 0;
    // More than needed, so that the next message does not drop again.
    for (let bytes = this.#retainedBytes; bytes > RETAINED_BYTES * 0.9; dropped += 1)
      bytes -= this.#retained[dropped]?.bytes.length ?? 0;
    this.#drop(dropped);
  }

  #drop(count: number): void {
    for (const { bytes } of this.#retained.splice(0, count)) this.#retainedBytes -= bytes.length;
  }
}
