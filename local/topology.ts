import { PubSub, v1 } from "@google-cloud/pubsub";

export type Topology = {
  /** The emulator, as host:port. */
  host: string;
  projectId: string;
  topic: string;
  subscription: string;
  deadLetterTopic: string;
  deadLetterSubscription: string;
  ackDeadlineSeconds?: number;
  maxDeliveryAttempts?: number;
  /** With the endpoints, the emulator pushes; without, the subscriber pulls. */
  pushEndpoint?: string;
  deadLetterPushEndpoint?: string;
};

const ALREADY_EXISTS = 6;
/** An emulator that does not answer at once is not there; the library would try for minutes. */
const CALL_OPTIONS = { timeout: 5_000, retry: null };
const RETRY_POLICY = { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 10 } };

/** Makes what the cloud has by its infrastructure code; what is there already, stays. */
export async function createTopology(topology: Topology): Promise<void> {
  const { projectId, ackDeadlineSeconds = 60, maxDeliveryAttempts = 5 } = topology;
  const options = await findClientOptions(topology);
  const publisher = new v1.PublisherClient(options);
  const subscriber = new v1.SubscriberClient(options);
  const topicPath = (name: string) => `projects/${projectId}/topics/${name}`;
  const subscribe = async (name: string, topic: string, endpoint = "", more = {}) => {
    const path = subscriptionPath(projectId, name);
    const pushConfig = { pushEndpoint: endpoint };
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
      await existsAlready(publisher.createTopic({ name: topicPath(topic) }, CALL_OPTIONS));
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
 * Whether nothing waits to be delivered. What is delivered already, and not acked yet, does not
 * show; whatever this pull got is given back at once.
 */
export async function isBacklogEmpty(
  options: Pick<Topology, "host" | "projectId" | "subscription">,
): Promise<boolean> {
  const subscriber = new v1.SubscriberClient(await findClientOptions(options));
  const subscription = subscriptionPath(options.projectId, options.subscription);
  try {
    const [response] = await subscriber.pull(
      { subscription, maxMessages: 1, returnImmediately: true },
      CALL_OPTIONS,
    );
    const ackIds = (response.receivedMessages ?? []).map(({ ackId }) => ackId as string);
    if (ackIds.length === 0) return true;
    await subscriber.modifyAckDeadline({ subscription, ackIds, ackDeadlineSeconds: 0 });
    return false;
  } finally {
    await subscriber.close();
  }
}

/** The generated clients know no emulator; the library's own client tells them what it knows. */
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
