import type { v1 } from "@google-cloud/pubsub";
import { createGeneratedClient, type PubsubTarget } from "../common/pubsub.ts";

/** A message to ack or nack. */
export type Delivery = {
  id: string;
  attributes: Record<string, string>;
  data: Buffer;
  publishTime: Date;
  ack(): void;
  nack(): void;
};

const TIMEOUT_MS = 5_000;

/**
 * Finds a message that waits in a subscription, by a synchronous pull. It uses a client of its own,
 * because the one that streams may be what has failed.
 */
export class WaitingMessages {
  readonly #target: PubsubTarget;
  readonly #subscription: string;
  #client: v1.SubscriberClient | undefined;
  #calls: Promise<unknown> = Promise.resolve();

  constructor(options: PubsubTarget & { subscription: string }) {
    this.#target = options;
    this.#subscription = `projects/${options.projectId}/subscriptions/${options.subscription}`;
  }

  /**
   * One message, leased for as long as the subscription says, or undefined where none waits. After a
   * failure the next call uses a new client, because this one's connection may be lost, too.
   */
  async find(): Promise<Delivery | undefined> {
    this.#client ??= await createGeneratedClient("SubscriberClient", this.#target);
    const client = this.#client;
    try {
      return await this.#pull(client);
    } catch (error) {
      this.#client = undefined;
      client.close().catch(() => {});
      throw error;
    }
  }

  async #pull(client: v1.SubscriberClient): Promise<Delivery | undefined> {
    const [{ receivedMessages }] = await client.pull(
      // Google discourages returnImmediately, because such a pull may miss a message. Here that does no
      // harm, since the next look finds it; a pull that waits would keep the message from the stream.
      { subscription: this.#subscription, maxMessages: 1, returnImmediately: true },
      createCallOptions(),
    );
    const [received] = receivedMessages ?? [];
    if (!received?.ackId || !received.message) return undefined;
    const { messageId, attributes, data, publishTime } = received.message;
    const request = { subscription: this.#subscription, ackIds: [received.ackId] };
    return {
      id: messageId ?? "",
      attributes: attributes ?? {},
      data: Buffer.from((data ?? "") as Uint8Array),
      publishTime: new Date(
        Number(publishTime?.seconds ?? 0) * 1_000 +
          Math.floor((publishTime?.nanos ?? 0) / 1_000_000),
      ),
      ack: () => this.#call(client.acknowledge(request, createCallOptions())),
      nack: () =>
        this.#call(
          client.modifyAckDeadline({ ...request, ackDeadlineSeconds: 0 }, createCallOptions()),
        ),
    };
  }

  /** Waits for acks and nacks, then closes the connection. */
  async close(): Promise<void> {
    await this.#calls;
    await this.#client?.close();
  }

  /** A call that fails leaves the message to be redelivered. */
  #call(call: Promise<unknown>): void {
    this.#calls = Promise.all([this.#calls, call.catch(() => {})]);
  }
}

/** A new object for each call, since the library writes into it. */
function createCallOptions() {
  return { timeout: TIMEOUT_MS, retry: null };
}
