import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Message, PubSub, type protos, v1 } from "@google-cloud/pubsub";
import type { SubscriptionConfig, TopicConfig } from "../../../local/pubsub/wire.ts";
import { until } from "../until.ts";

export type Received = protos.google.pubsub.v1.IReceivedMessage;
export type Published = protos.google.pubsub.v1.IPubsubMessage;

/** One statement of Pub/Sub's contract. */
export type Case = {
  title: string;
  run(bench: Bench): Promise<void>;
  /** What the official emulator does instead, where it deviates. */
  gap?: string;
};

/** gRPC's codes, as the client throws them. */
export const CODES = {
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  failedPrecondition: 9,
  outOfRange: 11,
} as const;

/** Pub/Sub's longest ack deadline: a slow machine's test does not outlive it. */
const MAX_ACK_DEADLINE_SECONDS = 600;
/** After this time without a message, none is expected. */
const QUIET_MS = 400;

/** Google's own client, connected to one server, with shorthands for the cases. */
export class Bench {
  readonly pubsub: PubSub;
  readonly publisher: v1.PublisherClient;
  readonly subscriber: v1.SubscriberClient;
  /** Where the push tokens' certificates are; the emulator has none. */
  readonly certsUrl: string | undefined;
  readonly project = "conformance";

  private constructor(
    pubsub: PubSub,
    options: v1.PublisherClient["_opts"],
    certsUrl: string | undefined,
  ) {
    this.pubsub = pubsub;
    this.publisher = new v1.PublisherClient(options);
    this.subscriber = new v1.SubscriberClient(options);
    this.certsUrl = certsUrl;
  }

  static async connect(host: string, certsUrl?: string): Promise<Bench> {
    const pubsub = new PubSub({ projectId: "conformance", apiEndpoint: host, emulatorMode: true });
    const options = (await pubsub.getClientConfig()) as v1.PublisherClient["_opts"];
    return new Bench(pubsub, options, certsUrl);
  }

  async close(): Promise<void> {
    await Promise.all([this.publisher.close(), this.subscriber.close(), this.pubsub.close()]);
  }

  name(kind: "topics" | "subscriptions" | "snapshots"): string {
    return `projects/${this.project}/${kind}/a${randomUUID()}`;
  }

  async createTopic(config: TopicConfig = {}): Promise<string> {
    const name = this.name("topics");
    await this.publisher.createTopic({ name, ...config } as { name: string });
    return name;
  }

  /** Creates a subscription with the longest ack deadline, unless `config` has another one. */
  async createSubscription(topic: string, config: SubscriptionConfig = {}): Promise<string> {
    const name = this.name("subscriptions");
    const ackDeadlineSeconds = MAX_ACK_DEADLINE_SECONDS;
    await this.subscriber.createSubscription({ name, topic, ackDeadlineSeconds, ...config });
    return name;
  }

  /** A topic and a subscription of it. */
  async createPair(config: SubscriptionConfig = {}, topicConfig: TopicConfig = {}) {
    const topic = await this.createTopic(topicConfig);
    return { topic, subscription: await this.createSubscription(topic, config) };
  }

  /** Publishes texts or whole messages, in one request; returns their ids. */
  async publish(topic: string, ...messages: (string | Published)[]): Promise<string[]> {
    const [{ messageIds }] = await this.publisher.publish(
      {
        topic,
        messages: messages.map((one) => (typeof one === "string" ? { data: text(one) } : one)),
      },
      { isBundling: false, retry: null },
    );
    return messageIds as string[];
  }

  /** Returns the messages that are there, at most `maxMessages`, without waiting. */
  async pull(subscription: string, maxMessages = 100): Promise<Received[]> {
    const [{ receivedMessages }] = await this.subscriber.pull(
      { subscription, maxMessages, returnImmediately: true },
      { retry: null },
    );
    return receivedMessages as Received[];
  }

  /** Pulls until `count` messages have been delivered. */
  async pullAll(subscription: string, count: number): Promise<Received[]> {
    const found: Received[] = [];
    await until(`${count} messages are delivered`, async () => {
      found.push(...(await this.pull(subscription, count - found.length)));
      return found.length === count;
    });
    return found;
  }

  /** Fails if a message is delivered within `quietMs`. */
  async expectNothing(subscription: string, quietMs = QUIET_MS): Promise<void> {
    const deadline = Date.now() + quietMs;
    while (Date.now() < deadline) {
      assert.deepEqual((await this.pull(subscription)).map(getText), []);
      await sleep(50);
    }
  }

  async acknowledge(subscription: string, received: readonly Received[]): Promise<void> {
    await this.subscriber.acknowledge({ subscription, ackIds: getAckIds(received) });
  }

  async modify(subscription: string, received: readonly Received[], seconds: number) {
    await this.subscriber.modifyAckDeadline({
      subscription,
      ackIds: getAckIds(received),
      ackDeadlineSeconds: seconds,
    });
  }

  /** Streams the subscription's messages to `onMessage` while `work` is done. */
  async stream(
    subscription: string,
    options: Parameters<PubSub["subscription"]>[1],
    onMessage: (message: Message) => void,
    work: () => Promise<void>,
  ): Promise<void> {
    const stream = this.pubsub.subscription(subscription, options);
    const failed = new Promise<never>((_resolve, reject) => stream.on("error", reject));
    stream.on("message", onMessage);
    try {
      await Promise.race([work(), failed]);
    } finally {
      await stream.close();
    }
  }
}

/** Asserts that the server rejects the call with this code. */
export async function rejectsWith(
  code: (typeof CODES)[keyof typeof CODES],
  work: Promise<unknown>,
  what?: string,
): Promise<void> {
  await assert.rejects(work, (error: { code?: number; message: string }) => {
    assert.equal(error.code, code, `${what ?? ""}: ${error.message}`);
    return true;
  });
}

export function text(value: string): Buffer {
  return Buffer.from(value);
}

export function getText({ message }: Received): string {
  return Buffer.from((message?.data ?? "") as Uint8Array).toString();
}

function getAckIds(received: readonly Received[]): string[] {
  return received.map(({ ackId }) => ackId as string);
}
