import { createGeneratedClient, type PubsubTarget } from "../../common/pubsub.ts";
import type { SubscriptionState } from "./plan.ts";

/** The subscriptions of a project, as far as a restore needs them. */
export type Subscriptions = {
  read(name: string): Promise<SubscriptionState>;
  /** What was published since is unacknowledged again, and all that is older is acknowledged. */
  seek(name: string, toMs: number): Promise<void>;
  close(): Promise<void>;
};

/** No retries: the person at the terminal can run the command again. The library writes into it. */
const createCallOptions = () => ({ timeout: 10_000, retry: null });

/** Connects to the project's Pub/Sub. */
export async function openSubscriptions(target: PubsubTarget): Promise<Subscriptions> {
  const client = await createGeneratedClient("SubscriberClient", target);
  const getPath = (name: string) => `projects/${target.projectId}/subscriptions/${name}`;
  return {
    async read(name) {
      const [found] = await client
        .getSubscription({ subscription: getPath(name) }, createCallOptions())
        .catch((error) => fail(`The subscription ${name} cannot be read`, error));
      const ownMs = toMs(found.messageRetentionDuration);
      const topicMs = toMs(found.topicMessageRetentionDuration);
      const { pushEndpoint: endpoint, oidcToken } = found.pushConfig ?? {};
      const token = {
        account: oidcToken?.serviceAccountEmail ?? "",
        audience: oidcToken?.audience ?? "",
      };
      return {
        name,
        retainedMs: Math.max(topicMs, found.retainAckedMessages ? ownMs : 0),
        unsettledMs: ownMs,
        push: endpoint ? { endpoint, ...token } : undefined,
      };
    },
    async seek(name, toMs) {
      const time = { seconds: Math.floor(toMs / 1_000), nanos: 0 };
      await client
        .seek({ subscription: getPath(name), time }, createCallOptions())
        .catch((error) => fail(`The subscription ${name} cannot be sought`, error));
    },
    close: () => client.close(),
  };
}

function fail(what: string, { message }: Error): never {
  throw new Error(`${what}: ${message}.`);
}

function toMs(duration: { seconds?: unknown; nanos?: unknown } | null | undefined): number {
  return Number(duration?.seconds ?? 0) * 1_000 + Number(duration?.nanos ?? 0) / 1e6;
}
