import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Faults } from "./faults.ts";
import type { Consumer, Delivery } from "./subscriptions/delivery.ts";
import type { Subscription } from "./subscriptions/subscription.ts";
import type { TokenSigner } from "./tokens.ts";
import { decodeMessage, type Message } from "./wire.ts";

/** Concurrent pushes of a subscription: production starts with few, and allows thousands. */
const WINDOW = { first: 3, max: 1_000 };
/** Production's backoff of a whole subscription whose endpoint fails. */
const BACKOFF_MS = { min: 100, max: 60_000 };
/** Pub/Sub guide, "How push endpoints send acknowledgments". */
const ACKNOWLEDGING = new Set([102, 200, 201, 202, 204]);
/** The request times out first, so that its own outcome counts. */
const LEASE_MARGIN_MS = 1_000;
const STORM_PUSHES = 5;

/**
 * Pushes a subscription's messages to its endpoint, as many at a time as the window allows. The
 * window grows by one with each success, so that it doubles with each round, and halves with a
 * failure, after which pushes pause; the pause doubles with each failure in a row.
 */
export class Pusher implements Consumer {
  readonly #subscription: Subscription;
  readonly #signer: TokenSigner;
  readonly #faults: Faults;
  readonly #url: URL;
  readonly #agent: HttpAgent;
  #window: number = WINDOW.first;
  #underWay = 0;
  /** Failures in a row; those under way at one time count as one. */
  #failures = 0;
  #pauseEndsAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(subscription: Subscription, signer: TokenSigner, faults: Faults) {
    this.#subscription = subscription;
    this.#signer = signer;
    this.#faults = faults;
    this.#url = new URL(subscription.config.pushConfig?.pushEndpoint ?? "");
    const Agent = this.#url.protocol === "https:" ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: WINDOW.max });
    subscription.attach(this);
  }

  get leaseMs(): number {
    return this.#timeoutMs + LEASE_MARGIN_MS;
  }

  hasRoom(): boolean {
    return !this.#isStopped && this.#underWay < this.#window && !this.#timer;
  }

  hold(): void {
    this.#underWay += 1;
  }

  release(): void {
    this.#underWay -= 1;
  }

  take(deliveries: Delivery[]): void {
    for (const delivery of deliveries) {
      const pushes = this.#faults.hits("storm") ? STORM_PUSHES : 1;
      for (let push = 0; push < pushes; push += 1) this.#push(delivery);
    }
  }

  end(): void {
    this.stop();
  }

  stop(): void {
    this.#isStopped = true;
    this.#subscription.detach(this);
    clearTimeout(this.#timer);
    this.#agent.destroy();
  }

  get #timeoutMs(): number {
    return (this.#subscription.config.ackDeadlineSeconds ?? 0) * 1_000;
  }

  async #push(delivery: Delivery): Promise<void> {
    const startedAt = performance.now();
    const isAcknowledged = await this.#post(delivery).catch(() => false);
    if (this.#isStopped) return;
    if (isAcknowledged) {
      this.#failures = 0;
      this.#window = Math.min(this.#window + 1, WINDOW.max);
      this.#subscription.acknowledge([delivery.ackId]);
    } else {
      this.#fail(startedAt);
      this.#subscription.modify([delivery.ackId], 0);
    }
  }

  /** A push that began before the last pause ended does not count again. */
  #fail(startedAt: number): void {
    if (startedAt < this.#pauseEndsAt) return;
    this.#window = Math.max(1, Math.floor(this.#window / 2));
    const pauseMs = Math.min(BACKOFF_MS.min * 2 ** this.#failures, BACKOFF_MS.max);
    this.#failures += 1;
    this.#pauseEndsAt = performance.now() + pauseMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#subscription.wake();
    }, pauseMs);
  }

  /** Whether the endpoint acknowledged; rejects where it did not answer in time, or not at all. */
  #post(delivery: Delivery): Promise<boolean> {
    const { body, headers } = this.#describe(delivery);
    const send = this.#url.protocol === "https:" ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(this.#url, {
        method: "POST",
        agent: this.#agent,
        headers: { ...headers, "Content-Length": body.length },
        timeout: this.#timeoutMs,
      });
      request.on("timeout", () =>
        request.destroy(new Error("The endpoint did not answer in time.")),
      );
      request.on("information", ({ statusCode }) => {
        if (ACKNOWLEDGING.has(statusCode)) resolve(true);
      });
      request.on("response", (response) => {
        response.resume();
        response.on("error", reject);
        resolve(ACKNOWLEDGING.has(response.statusCode ?? 0));
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  #describe(delivery: Delivery): { body: Buffer; headers: Record<string, string> } {
    const { pushConfig } = this.#subscription.config;
    const common: Record<string, string> = { "User-Agent": "CloudPubSub-Google" };
    if (pushConfig?.oidcToken?.serviceAccountEmail) {
      const { serviceAccountEmail, audience } = pushConfig.oidcToken;
      const token = this.#signer.token(serviceAccountEmail, audience || this.#url.href);
      common.Authorization = `Bearer ${token}`;
    }
    if (!pushConfig?.noWrapper) {
      return {
        body: Buffer.from(JSON.stringify(this.#wrap(delivery))),
        headers: { ...common, "Content-Type": "application/json" },
      };
    }
    const { message } = delivery;
    const data = decodeMessage(message.bytes).data ?? Buffer.alloc(0);
    const metadata = pushConfig.noWrapper.writeMetadata ? this.#getMetadata(message) : {};
    return { body: data, headers: { ...common, ...metadata } };
  }

  /** Both spellings of the fields that have two, as production sends them. */
  #wrap({ message, deliveryAttempt }: Delivery) {
    const { data, attributes, orderingKey } = decodeMessage(message.bytes);
    const publishTime = new Date(message.publishedAtMs).toISOString();
    return {
      message: {
        ...(attributes ? { attributes } : {}),
        ...(data ? { data: data.toString("base64") } : {}),
        messageId: message.id,
        message_id: message.id,
        publishTime,
        publish_time: publishTime,
        ...(orderingKey ? { orderingKey } : {}),
      },
      subscription: this.#subscription.config.name,
      ...(deliveryAttempt > 0 ? { deliveryAttempt } : {}),
    };
  }

  #getMetadata(message: Message): Record<string, string> {
    const { attributes, orderingKey } = decodeMessage(message.bytes);
    return {
      ...attributes,
      "x-goog-pubsub-subscription-name": this.#subscription.config.name ?? "",
      "x-goog-pubsub-message-id": message.id,
      "x-goog-pubsub-publish-time": new Date(message.publishedAtMs).toISOString(),
      ...(orderingKey ? { "x-goog-pubsub-ordering-key": orderingKey } : {}),
    };
  }
}
