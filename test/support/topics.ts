import { PubSub } from "@google-cloud/pubsub";
import { createTopology } from "../../local/topology.ts";

/** The topics and subscriptions of one test environment, on the Pub/Sub at `host`. */
export type Topics = {
  host: string;
  projectId: string;
  topic: string;
  subscription: string;
  deadLetterTopic: string;
  deadLetterSubscription: string;
};

/** The shortest that Pub/Sub takes: messages that a killed subscriber held are redelivered then. */
const ACK_DEADLINE_SECONDS = 10;

/** Creates what is not there yet; with `push`, the subscriptions push to that port. */
export async function createTopics(
  topics: Topics,
  push?: { port: number; oidcToken: { serviceAccountEmail: string; audience: string } },
): Promise<void> {
  const pushEndpoint = `http://127.0.0.1:${push?.port}/push`;
  const deadLetterPushEndpoint = `${pushEndpoint}/dead-letters`;
  await createTopology({
    ...topics,
    ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
    ...(push ? { pushEndpoint, deadLetterPushEndpoint, oidcToken: push.oidcToken } : {}),
  });
}

/** Moves the unacknowledged messages to a new subscription, and deletes the old one. */
export async function replaceSubscription(topics: Topics, next: string): Promise<void> {
  const { host, projectId, subscription: old } = topics;
  // First the new one, so that no message falls between the two.
  await createTopics({ ...topics, subscription: next });
  const pubsub = new PubSub({ projectId, apiEndpoint: host, emulatorMode: true });
  const [snapshot] = await pubsub.subscription(old).createSnapshot(next);
  await pubsub.subscription(next).seek(next);
  await pubsub.subscription(old).delete();
  await snapshot.delete();
  await pubsub.close();
}
