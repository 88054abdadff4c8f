import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Message, PubSub, type protos, v1 } from "@google-cloud/pubsub";
import type { SubscriptionConfig, TopicConfig } from "../../../local/pubsub/wire.ts";

export type Received = protos.google.pubsub.v1.IReceivedMessage;
export type Published = protos.google.pubsub.v1.IPubsubMessage;

/** One thing that the contract says. Where the emulator does otherwise, what it does. */
export type Case = {
  title: string;
  run(bench: Bench): Promise<void>;
  /** What the official emulator does instead. */
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

/** So long a condition is waited for, on a machine with much else to do. */
const PATIENCE_MS = 15_000;
/** No message comes: so long is waited for one. */
const QUIET_MS = 400;

/** Google's own client, connected to one server, and short ways to what the cases need. */
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

  async createSubscription(topic: string, config: SubscriptionConfig = {}): Promise<string> {
    const name = this.name("subscriptions");
    await this.subscriber.createSubscription({ name, topic, ...config });
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

  /** What one pull brings at once. */
  async pull(subscription: string, maxMessages = 100): Promise<Received[]> {
    const [{ receivedMessages }] = await this.subscriber.pull(
      { subscription, maxMessages, returnImmediately: true },
      { retry: null },
    );
    return receivedMessages as Received[];
  }

  /** Pulls until there are so many. */
  async pullAll(subscription: string, count: number): Promise<Received[]> {
    const found: Received[] = [];
    await until(`${count} messages have come`, async () => {
      found.push(...(await this.pull(subscription, count - found.length)));
      return found.length === count;
    });
    return found;
  }

  /** Fails if a message comes within a moment. */
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

export async function until(what: string, condition: () => boolean | Promise<boolean>) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain until ${what}.`);
    await sleep(20);
  }
}

/** Rejected by the server, with this code. */
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
