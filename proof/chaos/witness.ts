import { PubSub, v1 } from "@google-cloud/pubsub";
import { collections } from "../../collections/collections.ts";
import {
  InvalidWriteError,
  type MessageContent,
  parseWrite,
  type Write,
} from "../../common/write.ts";
import { PROJECT_ID, TOPIC } from "./stage.ts";

/**
 * Sees all that is published, by a subscription of its own: also the writes whose clients were
 * told nothing, because their answer was lost.
 */
export type Witness = {
  /** Each write, once, however often it was published. */
  writes: Map<string, Write>;
  /** What is no write, by message id. */
  garbage: Set<string>;
  /** Puts a message on the topic behind the API's back. */
  publish(message: MessageContent): Promise<void>;
  close(): Promise<void>;
};

const NAME = "witness";
const PUBLISH_TIMEOUT_MS = 3_000;

export async function startWitness(host: string): Promise<Witness> {
  const pubsub = new PubSub({ projectId: PROJECT_ID, apiEndpoint: host, emulatorMode: true });
  const topic = `projects/${PROJECT_ID}/topics/${TOPIC}`;
  const config = (await pubsub.getClientConfig()) as v1.PublisherClient["_opts"];
  const publisher = new v1.PublisherClient(config);
  await pubsub.topic(TOPIC).createSubscription(NAME, { ackDeadlineSeconds: 10 });
  const subscription = pubsub.subscription(NAME, { streamingOptions: { maxStreams: 1 } });
  const writes = new Map<string, Write>();
  const garbage = new Set<string>();
  subscription.on("message", (message) => {
    try {
      const write = parseWrite({ attributes: message.attributes, data: message.data }, collections);
      writes.set(write.id, write);
    } catch (error) {
      if (!(error instanceof InvalidWriteError)) throw error;
      garbage.add(message.id);
    }
    message.ack();
  });
  // The client opens its stream again; what is final shows as a backlog that never empties.
  subscription.on("error", () => {});
  return {
    writes,
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
