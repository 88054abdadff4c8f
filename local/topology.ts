import { randomUUID } from "node:crypto";
import { PubSub, v1 } from "@google-cloud/pubsub";

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
/** A Pub/Sub that does not answer at once is not there; the library would try for minutes. */
const CALL_OPTIONS = { timeout: 5_000, retry: null };
/** The shortest that there is; the emulator gives no snapshot to another subscription without. */
const RETENTION = { messageRetentionDuration: { seconds: 600 } };
const RETRY_POLICY = { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 10 } };

/** Makes what the cloud has by its infrastructure code; what is there already, stays. */
export async function createTopology(topology: Topology): Promise<void> {
  const { projectId, ackDeadlineSeconds = 60, maxDeliveryAttempts = 100 } = topology;
  const options = await findClientOptions(topology);
  const publisher = new v1.PublisherClient(options);
  const subscriber = new v1.SubscriberClient(options);
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
    const existed = await existsAlready(subscriber.createSubscription(subscription));
    if (existed) await subscriber.modifyPushConfig({ subscription: path, pushConfig });
  };

  try {
    for (const topic of [topology.topic, topology.deadLetterTopic]) {
      await existsAlready(
        publisher.createTopic({ name: topicPath(topic), ...RETENTION }, CALL_OPTIONS),
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
  const subscriber = new v1.SubscriberClient(await findClientOptions(options));
  const watched = subscriptionPath(projectId, options.subscription);
  const name = `probe-${randomUUID()}`;
  const probe = subscriptionPath(projectId, name);
  const snapshot = `projects/${projectId}/snapshots/${name}`;
  try {
    const [{ topic }] = await subscriber.getSubscription({ subscription: watched }, CALL_OPTIONS);
    await subscriber.createSnapshot({ name: snapshot, subscription: watched });
    await subscriber.createSubscription({ name: probe, topic });
    await subscriber.seek({ subscription: probe, snapshot });
    const [pulled] = await subscriber.pull({
      subscription: probe,
      maxMessages: 1,
      returnImmediately: true,
    });
    await subscriber.deleteSubscription({ subscription: probe });
    await subscriber.deleteSnapshot({ snapshot });
    return pulled.receivedMessages?.length === 0;
  } finally {
    await subscriber.close();
  }
}

/** The generated clients know no emulator; the library's own client has the options for it. */
async function findClientOptions({ host, projectId }: { host: string; projectId: string }) {
  const client = new PubSub({ projectId, apiEndpoint: host, emulatorMode: true });
  return (await client.getClientConfig()) as ConstructorParameters<typeof v1.PublisherClient>[0];
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
