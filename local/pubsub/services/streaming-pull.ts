import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Broker } from "../broker.ts";
import { invalidArgument, type StatusError, unavailable } from "../errors.ts";
import { checkAckDeadline, checkExtension, checkPullable } from "../limits.ts";
import { type Consumer, type Delivery, describeDelivery } from "../subscriptions/delivery.ts";
import type { Subscription } from "../subscriptions/subscription.ts";
import type { Message } from "../wire.ts";

export type StreamingPullRequest = {
  subscription?: string;
  ackIds: string[];
  modifyDeadlineSeconds: number[];
  modifyDeadlineAckIds: string[];
  streamAckDeadlineSeconds?: number;
  maxOutstandingMessages?: number;
  maxOutstandingBytes?: number;
  protocolVersion?: number;
};

type Call = ServerDuplexStream<StreamingPullRequest, object>;

/**
 * One streaming pull. It is open for more while the client holds less than it asked for, and while the
 * connection takes what is written: a client that reads nothing is sent no more.
 */
export class StreamingPull implements Consumer {
  readonly #call: Call;
  readonly #broker: Broker;
  #subscription: Subscription | undefined;
  #limits = { messages: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
  #held = { messages: 0, bytes: 0 };
  #isBlocked = false;
  #isOver = false;
  #sendsKeepalives = false;
  leaseMs = 0;

  constructor(call: Call, broker: Broker) {
    this.#call = call;
    this.#broker = broker;
    call.on("data", (request) => this.#receive(request));
    call.on("end", () => this.#close());
    call.on("cancelled", () => this.#detach());
    call.on("error", () => this.#detach());
    call.on("drain", () => {
      this.#isBlocked = false;
      this.#subscription?.wake();
    });
  }

  hasRoom(): boolean {
    const { messages, bytes } = this.#held;
    if (this.#isOver || this.#isBlocked) return false;
    return messages < this.#limits.messages && bytes < this.#limits.bytes;
  }

  hold({ bytes }: Message): void {
    this.#held.messages += 1;
    this.#held.bytes += bytes.length;
  }

  release({ bytes }: Message): void {
    this.#held.messages -= 1;
    this.#held.bytes -= bytes.length;
  }

  take(deliveries: Delivery[]): void {
    this.#write(deliveries);
    if (this.#broker.faults.hits("cut")) this.end(unavailable("The stream was cut on purpose."));
  }

  end(error: StatusError): void {
    this.#detach();
    this.#call.emit("error", error);
  }

  #receive(request: StreamingPullRequest): void {
    if (this.#isOver) return;
    try {
      if (this.#subscription) this.#receiveNext(request, this.#subscription);
      else this.#receiveFirst(request);
    } catch (error) {
      this.end(error as StatusError);
    }
  }

  #receiveFirst(request: StreamingPullRequest): void {
    const subscription = this.#broker.resources.findSubscription(request.subscription ?? "");
    const { pushConfig, detached } = subscription.config;
    checkPullable(Boolean(pushConfig?.pushEndpoint), Boolean(detached));
    this.leaseMs = checkAckDeadline(request.streamAckDeadlineSeconds ?? 0) * 1_000;
    this.#limits = {
      messages: toLimit(request.maxOutstandingMessages),
      bytes: toLimit(request.maxOutstandingBytes),
    };
    this.#sendsKeepalives = (request.protocolVersion ?? 0) >= 1;
    this.#subscription = subscription;
    this.#settle(request, subscription);
    subscription.attach(this);
  }

  #receiveNext(request: StreamingPullRequest, subscription: Subscription): void {
    const { maxOutstandingMessages, maxOutstandingBytes, streamAckDeadlineSeconds } = request;
    if (request.subscription)
      throw invalidArgument("The subscription is named in the first request only.");
    if (maxOutstandingMessages || maxOutstandingBytes)
      throw invalidArgument("The flow control is set in the first request only.");
    if (streamAckDeadlineSeconds) this.leaseMs = checkAckDeadline(streamAckDeadlineSeconds) * 1_000;
    this.#settle(request, subscription);
    if (this.#sendsKeepalives && !this.#isBlocked) this.#write([]);
  }

  #settle(request: StreamingPullRequest, subscription: Subscription): void {
    const { ackIds, modifyDeadlineAckIds, modifyDeadlineSeconds } = request;
    if (modifyDeadlineAckIds.length !== modifyDeadlineSeconds.length)
      throw invalidArgument(
        "There must be as many modify_deadline_seconds as modify_deadline_ack_ids.",
      );
    modifyDeadlineSeconds.forEach(checkExtension);
    if (ackIds.length > 0) subscription.acknowledge(ackIds);
    for (const [index, ackId] of modifyDeadlineAckIds.entries())
      subscription.modify([ackId], modifyDeadlineSeconds[index] as number);
  }

  #write(deliveries: Delivery[]): void {
    const { enableMessageOrdering } = this.#subscription?.config ?? {};
    const response = {
      receivedMessages: deliveries.map(describeDelivery),
      subscriptionProperties: { messageOrderingEnabled: enableMessageOrdering },
    };
    if (!this.#call.write(response)) this.#isBlocked = true;
  }

  #close(): void {
    if (this.#isOver) return;
    this.#detach();
    this.#call.end();
  }

  #detach(): void {
    this.#isOver = true;
    this.#subscription?.detach(this);
  }
}

/** No limit where it is left out or not above 0. */
function toLimit(limit = 0): number {
  return limit > 0 ? limit : Number.POSITIVE_INFINITY;
}
