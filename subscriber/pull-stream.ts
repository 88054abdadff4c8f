import {
  type Client,
  type ClientDuplexStream,
  type Metadata,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { routeTo } from "../common/pubsub-connection.ts";
import {
  decodePullResponse,
  encodePullRequest,
  KEEPALIVE,
  type Received,
  STREAMING_PULL_PATH,
} from "./pull-protocol.ts";

/** Ends that a new stream mends; Google ends each stream after half an hour or so. */
const REOPEN_CODES = [
  ...[status.OK, status.UNAVAILABLE, status.INTERNAL, status.ABORTED, status.CANCELLED],
  ...[status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED],
];
const REOPEN_MS = { first: 100, most: 5_000 };

/** One streaming pull, opened again wherever it ends for a reason that may pass. */
export class PullStream {
  readonly #options: PullStreamOptions;
  readonly #first: Buffer;
  readonly #metadata: Metadata;
  readonly #keepalive: NodeJS.Timeout;
  #call: ClientDuplexStream<Buffer, Received[]> | undefined;
  #reopen: NodeJS.Timeout | undefined;
  #pauseMs = REOPEN_MS.first;
  #heardAt = 0;
  #isPaused = false;
  #isOver = false;

  constructor(options: PullStreamOptions) {
    const { subscription, leaseSeconds, maxMessages, maxBytes } = options;
    this.#options = options;
    this.#first = encodePullRequest({
      subscription,
      clientId: crypto.randomUUID(),
      streamAckDeadlineSeconds: leaseSeconds,
      maxOutstandingMessages: maxMessages,
      maxOutstandingBytes: maxBytes,
    });
    this.#metadata = routeTo("subscription", subscription);
    this.#keepalive = setInterval(() => this.#keepAlive(), options.keepaliveMs);
    this.#open();
  }

  /** Leaves what comes unread, so that its sender must wait, until {@link resume}. */
  pause(): void {
    this.#isPaused = true;
    this.#call?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    // Nothing could be heard meanwhile.
    this.#heardAt = Date.now();
    this.#call?.resume();
  }

  /** Takes no more. */
  stop(): void {
    this.#isOver = true;
    clearInterval(this.#keepalive);
    clearTimeout(this.#reopen);
    this.#call?.cancel();
  }

  #open(): void {
    const call = this.#options.client.makeBidiStreamRequest(
      STREAMING_PULL_PATH,
      (bytes: Buffer) => bytes,
      decodePullResponse,
      this.#metadata,
    );
    this.#call = call;
    call.on("data", (received: Received[]) => {
      this.#heardAt = Date.now();
      this.#pauseMs = REOPEN_MS.first;
      if (!this.#isOver && received.length > 0) this.#options.onMessages(received);
    });
    // Told by the status, too.
    call.on("error", () => {});
    call.once("status", (end: StatusObject) => this.#ended(end));
    if (this.#isPaused) call.pause();
    call.write(this.#first);
  }

  #ended(end: StatusObject): void {
    this.#call = undefined;
    if (this.#isOver) return;
    if (!REOPEN_CODES.includes(end.code)) {
      this.#options.onFailed(end);
      return;
    }
    this.#reopen = setTimeout(() => this.#open(), this.#pauseMs * (0.5 + Math.random()));
    this.#pauseMs = Math.min(2 * this.#pauseMs, REOPEN_MS.most);
  }

  #keepAlive(): void {
    const call = this.#call;
    if (!call) return;
    const askedAt = Date.now();
    call.write(KEEPALIVE);
    setTimeout(() => {
      if (this.#heardAt < askedAt && !this.#isPaused) call.cancel();
    }, this.#options.answerMs).unref();
  }
}

export type PullStreamOptions = {
  client: Client;
  /** `projects/…/subscriptions/…` */
  subscription: string;
  /** A message is somebody else's again this long after it came, unless its lease is renewed. */
  leaseSeconds: number;
  /** Pub/Sub is asked to send no more while so much is held of what came by this stream. */
  maxMessages: number;
  maxBytes: number;
  /** A stream on which nobody speaks is closed after a while, so it says so often that it is there. */
  keepaliveMs: number;
  /** Pub/Sub answers that by then, or its end is gone without a word. */
  answerMs: number;
  onMessages: (received: Received[]) => void;
  /** It ended for a reason that time does not mend, such as that there is no such subscription. */
  onFailed: (end: StatusObject) => void;
};
