import { randomUUID } from "node:crypto";
import { createGeneratedClient } from "../common/pubsub.ts";

export type Topology = {
  /** The Pub/Sub, as host:port. */
  host: string;
  projectId: string;
  topic: string;
  subscription: string;
  deadLetterTopic: string;
  deadLetterSubscription: string;
  ackDeadlineSeconds?: number;
  maxDeliveryAttempts?: number;
  /** With the endpoints, Pub/Sub pushes; without, the subscriber pulls. */
  pushEndpoint?: string;
  /** Whose token the pushes have, and for whom; the emulator sends none. */
  oidcToken?: { serviceAccountEmail: string; audience: string };
  deadLetterPushEndpoint?: string;
};

const ALREADY_EXISTS = 6;
/** The shortest that there is; the emulator gives no snapshot to another subscription without. */
const RETENTION = { messageRetentionDuration: { seconds: 600 } };
const RETRY_POLICY = { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 10 } };

/** Makes what the cloud has by its infrastructure code; what is there already, stays. */
export async function createTopology(topology: Topology): Promise<void> {
  const { projectId, ackDeadlineSeconds = 60, maxDeliveryAttempts = 100 } = topology;
  const target = { projectId, emulatorHost: topology.host };
  const publisher = await createGeneratedClient("PublisherClient", target);
  const subscriber = await createGeneratedClient("SubscriberClient", target);
  const topicPath = (name: string) => `projects/${projectId}/topics/${name}`;
  const subscribe = async (name: string, topic: string, endpoint = "", more = {}) => {
    const path = subscriptionPath(projectId, name);
    const pushConfig = {
      pushEndpoint: endpoint,
      ...(endpoint && topology.oidcToken ? { oidcToken: topology.oidcToken } : {}),
    };
    const subscription = {
      name: path,
      topic: topicPath(topic),
      ackDeadlineSeconds,
      retryPolicy: RETRY_POLICY,
      expirationPolicy: {},
      pushConfig,
      ...more,
    };
    const existed = await existsAlready(
      subscriber.createSubscription(subscription, createCallOptions()),
    );
    if (existed)
      await subscriber.modifyPushConfig({ subscription: path, pushConfig }, createCallOptions());
  };

  try {
    for (const topic of [topology.topic, topology.deadLetterTopic]) {
      await existsAlready(
        publisher.createTopic({ name: topicPath(topic), ...RETENTION }, createCallOptions()),
      );
    }
    await subscribe(
      topology.deadLetterSubscription,
      topology.deadLetterTopic,
      topology.deadLetterPushEndpoint,
    );
    await subscribe(topology.subscription, topology.topic, topology.pushEndpoint, {
      deadLetterPolicy: {
        deadLetterTopic: topicPath(topology.deadLetterTopic),
        maxDeliveryAttempts,
      },
    });
  } finally {
    await Promise.all([publisher.close(), subscriber.close()]);
  }
}

/**
 * Whether every message of the subscription is acknowledged. A pull would not tell: it sees no
 * message that is on its way or backs off, and takes away the ones it sees. So a snapshot of the
 * subscription is given to another one, made for the purpose, and that one is asked.
 */
export async function isBacklogEmpty(
  options: Pick<Topology, "host" | "projectId" | "subscription">,
): Promise<boolean> {
  const { projectId } = options;
  const target = { projectId, emulatorHost: options.host };
  const subscriber = await createGeneratedClient("SubscriberClient", target);
  const watched = subscriptionPath(projectId, options.subscription);
  const name = `probe-${randomUUID()}`;
  const probe = subscriptionPath(projectId, name);
  const snapshot = `projects/${projectId}/snapshots/${name}`;
  try {
    const [{ topic }] = await subscriber.getSubscription(
      { subscription: watched },
      createCallOptions(),
    );
    await subscriber.createSnapshot({ name: snapshot, subscription: watched }, createCallOptions());
    await subscriber.createSubscription({ name: probe, topic }, createCallOptions());
    await subscriber.seek({ subscription: probe, snapshot }, createCallOptions());
    const [pulled] = await subscriber.pull(
      { subscription: probe, maxMessages: 1, returnImmediately: true },
      createCallOptions(),
    );
    return pulled.receivedMessages?.length === 0;
  } finally {
    // One that was not created cannot be deleted.
    await Promise.allSettled([
      subscriber.deleteSubscription({ subscription: probe }, createCallOptions()),
      subscriber.deleteSnapshot({ snapshot }, createCallOptions()),
    ]);
    await subscriber.close();
  }
}

/**
 * A Pub/Sub that does not answer at once is not there; the library would try for minutes. A new
 * object for each call, since the library writes into it.
 */
function createCallOptions() {
  return { timeout: 5_000, retry: null };
}

function subscriptionPath(projectId: string, name: string): string {
  return `projects/${projectId}/subscriptions/${name}`;
}

async function existsAlready(creation: Promise<unknown>): Promise<boolean> {
  try {
    await creation;
    return false;
  } catch (error) {
    if ((error as { code?: number }).code === ALREADY_EXISTS) return true;
    throw error;
  }
}
