import { PubSub, v1 } from "@google-cloud/pubsub";
import { collections as declared } from "../../collections/collections.ts";
import type { Collection } from "../../common/collection.ts";
import { type MessageContent, parseWrite, type Write } from "../../common/write.ts";
import { InvalidWriteError } from "../../common/write-errors.ts";

/**
 * Receives everything that is published, by a subscription of its own: also the writes whose
 * answers were lost.
 */
export type Witness = {
  /** Each write, once, however often it was published. */
  writes: Map<string, Write>;
  /** Each message of each write, by the write's id. */
  messages: Map<string, Write[]>;
  /** Ids of the messages that are not writes. */
  garbage: Set<string>;
  /** Publishes a message without the API. */
  publish(message: MessageContent): Promise<void>;
  close(): Promise<void>;
};

const PUBLISH_TIMEOUT_MS = 3_000;

/** Creates the subscription and receives from then on. */
export async function startWitness(options: {
  host: string;
  projectId: string;
  topic: string;
  collections?: readonly Collection[];
}): Promise<Witness> {
  const { host, projectId, collections = declared } = options;
  const name = `${options.topic}-witness`;
  const pubsub = new PubSub({ projectId, apiEndpoint: host, emulatorMode: true });
  const topic = `projects/${projectId}/topics/${options.topic}`;
  const config = (await pubsub.getClientConfig()) as v1.PublisherClient["_opts"];
  const publisher = new v1.PublisherClient(config);
  await pubsub.topic(options.topic).createSubscription(name, { ackDeadlineSeconds: 10 });
  const subscription = pubsub.subscription(name, { streamingOptions: { maxStreams: 1 } });
  const writes = new Map<string, Write>();
  const messages = new Map<string, Write[]>();
  const garbage = new Set<string>();
  subscription.on("message", (message) => {
    try {
      const { attributes, data, publishTime } = message;
      const publishedAt = publishTime.getTime();
      const write = parseWrite({ attributes, data, publishedAt }, collections);
      writes.set(write.id, write);
      messages.set(write.id, [...(messages.get(write.id) ?? []), write]);
    } catch (error) {
      if (!(error instanceof InvalidWriteError)) throw error;
      garbage.add(message.id);
    }
    message.ack();
  });
  // The client reopens its stream; a final error shows as a backlog that never empties.
  subscription.on("error", () => {});
  return {
    writes,
    messages,
    garbage,
    async publish(message) {
      const options = { isBundling: false, timeout: PUBLISH_TIMEOUT_MS, retry: null };
      await publisher.publish({ topic, messages: [message] }, options);
    },
    async close() {
      await subscription.close();
      await publisher.close();
      await pubsub.close();
    },
  };
}
