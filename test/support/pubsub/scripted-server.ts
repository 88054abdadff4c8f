import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import {
  type Content,
  decodeMessage,
  encodeMessage,
  publisherService,
  subscriberService,
} from "../../../local/pubsub/wire.ts";

/** What a test sends by a stream. */
export type Scripted = { ackId: string; data?: Buffer; attributes?: Record<string, string> };

type StreamRequest = {
  subscription: string;
  streamAckDeadlineSeconds: number;
  maxOutstandingMessages: number;
};
type Modification = { ackIds: string[]; ackDeadlineSeconds?: number };

/** One streaming pull that a client has opened. */
export type ScriptedStream = {
  /** The stream's first request. */
  request: StreamRequest;
  isOpen: boolean;
  /** Sends the messages in one response. */
  deliver(...messages: Scripted[]): void;
  /** Ends it with a gRPC status code. */
  end(code: number): void;
};

/**
 * A gRPC server with Pub/Sub's own definitions that does what the test says, and writes down what it
 * is asked. Where nothing is said, streams stay open, and calls succeed.
 */
export class ScriptedServer {
  readonly streams: ScriptedStream[] = [];
  readonly acked: string[] = [];
  readonly nacked: string[] = [];
  /** Calls that extend leases, the first extension of each message among them. */
  extensions: Required<Modification>[] = [];
  /** The messages of each publish call, and the milliseconds that its client gives it. */
  readonly published: { messages: Content[]; timeoutMs: number }[] = [];
  answersKeepalives = true;
  onStream: (stream: ScriptedStream) => void = () => {};
  onPublish: (messages: Content[]) => unknown = (messages) => ({
    messageIds: messages.map((_, index) => `${index}`),
  });
  /** Answers a synchronous pull of the subscription, by its full name. */
  onPull: (subscription: string) => unknown = () => ({ receivedMessages: [] });
  onExtend: () => unknown = () => ({});
  readonly #server = new Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  #port = 0;

  static async start(): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    await server.#listen();
    return server;
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  async #listen(): Promise<void> {
    this.#server.addService(publisherService, {
      publish: answer<{ messages: Buffer[] }>(({ messages }, call) => {
        const contents = messages.map(decodeMessage);
        const timeoutMs = Number(call.getDeadline()) - Date.now();
        this.published.push({ messages: contents, timeoutMs });
        return this.onPublish(contents);
      }),
    });
    this.#server.addService(subscriberService, {
      streamingPull: (call: ServerDuplexStream<StreamRequest, object>) => this.#open(call),
      pull: answer<{ subscription: string }>(({ subscription }) => this.onPull(subscription)),
      acknowledge: answer<{ ackIds: string[] }>(({ ackIds }) => {
        this.acked.push(...ackIds);
        return {};
      }),
      modifyAckDeadline: answer<Modification>(({ ackIds, ackDeadlineSeconds = 0 }) => {
        if (ackDeadlineSeconds > 0) {
          this.extensions.push({ ackIds, ackDeadlineSeconds });
          return this.onExtend();
        }
        this.nacked.push(...ackIds);
        return {};
      }),
    });
    this.#port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync(
        "127.0.0.1:0",
        ServerCredentials.createInsecure(),
        (error, port) => void (error ? reject(error) : resolve(port)),
      ),
    );
  }

  #open(call: ServerDuplexStream<StreamRequest, object>): void {
    let stream: ScriptedStream | undefined;
    const close = () => {
      if (stream) stream.isOpen = false;
    };
    call.on("error", close).on("cancelled", close).on("end", close);
    call.on("data", (request: StreamRequest) => {
      if (stream) {
        if (this.answersKeepalives) call.write({});
        return;
      }
      stream = {
        request,
        isOpen: true,
        deliver: (...messages) => void call.write({ receivedMessages: messages.map(toReceived) }),
        end(code) {
          close();
          if (code === 0) call.end();
          else call.emit("error", { code, details: `ended with code ${code}` });
        },
      };
      this.streams.push(stream);
      this.onStream(stream);
    });
  }
}

function toReceived({ ackId, data = Buffer.from("{}"), attributes = {} }: Scripted) {
  return { ackId, message: encodeMessage({ messageId: ackId, data, attributes }) };
}

/** What throws becomes the call's error; a promise that never resolves is a call that hangs. */
function answer<Request>(
  handle: (request: Request, call: ServerUnaryCall<Request, object>) => unknown,
) {
  return async (call: ServerUnaryCall<Request, object>, done: sendUnaryData<object>) => {
    try {
      done(null, (await handle(call.request, call)) as object);
    } catch (error) {
      done(error as { code: number });
    }
  };
}
