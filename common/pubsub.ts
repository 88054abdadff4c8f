import type { PubSub, v1 } from "@google-cloud/pubsub";

/** Channel options of gRPC; by default a lost connection goes unnoticed for minutes. */
const CHANNEL = {
  // Keepalive interval; a connection that does not answer in time is replaced.
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 1_500,
  // The longest pause between attempts to reconnect after an outage (default: two minutes).
  "grpc.max_reconnect_backoff_ms": 5_000,
  // Otherwise clients of one address share a connection, so that a new client would not have a new one.
  "grpc.use_local_subchannel_pool": 1,
};

/** Which Pub/Sub: the project's, or the emulator at `emulatorHost` where one is named. */
export type PubsubTarget = { projectId: string; emulatorHost: string };

/**
 * Creates Google's client. The library is loaded by the first call, so that a process can listen
 * before. Credentials are not looked for until a call is made.
 */
export async function createPubsub({ projectId, emulatorHost }: PubsubTarget): Promise<PubSub> {
  const { PubSub } = await import("@google-cloud/pubsub");
  const emulator = emulatorHost ? { apiEndpoint: emulatorHost, emulatorMode: true } : {};
  return new PubSub({ projectId, ...CHANNEL, ...emulator });
}

/**
 * Creates one of the library's generated clients, with one method for each call of the API. Rejects
 * where there are no credentials: a client keeps its failed initialisation for ever, so the next try
 * needs a new one. A call before the initialisation has succeeded would end the process.
 */
export async function createGeneratedClient<Name extends "PublisherClient" | "SubscriberClient">(
  name: Name,
  target: PubsubTarget,
): Promise<InstanceType<(typeof v1)[Name]>> {
  const { v1 } = await import("@google-cloud/pubsub");
  const options = await (await createPubsub(target)).getClientConfig();
  const client = new v1[name](options as ConstructorParameters<(typeof v1)[Name]>[0]);
  await client.initialize();
  return client as InstanceType<(typeof v1)[Name]>;
}
