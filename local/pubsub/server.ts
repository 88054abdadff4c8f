import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type handleBidiStreamingCall, Server, ServerCredentials } from "@grpc/grpc-js";
import { Broker } from "./broker.ts";
import { startControl } from "./control.ts";
import { Faults, type Rates } from "./faults.ts";
import { FileJournal, NO_JOURNAL } from "./journal.ts";
import { REQUEST_BYTES } from "./limits.ts";
import { handleCalls } from "./services/calls.ts";
import { createPublisherService } from "./services/publisher.ts";
import { StreamingPull, type StreamingPullRequest } from "./services/streaming-pull.ts";
import { createSubscriberService } from "./services/subscriber.ts";
import { TokenSigner } from "./tokens.ts";
import { publisherService, subscriberService } from "./wire.ts";

export type PubsubOptions = {
  /** 0 for any that is free. */
  port: number;
  controlPort?: number;
  host?: string;
  /** Keeps unsettled messages over a restart; without it, everything ends with the process. */
  folder?: string;
  /** Of the faults; the same seed injects the same ones. */
  seed?: number;
  rates?: Rates;
};

export type Pubsub = {
  /** For PUBSUB_EMULATOR_HOST. */
  host: string;
  controlUrl: string;
  broker: Broker;
  stop(): Promise<void>;
};

/** Larger than any request that is allowed, so that production's own error is given. */
const MAX_RECEIVED_BYTES = REQUEST_BYTES * 2;
/** How long calls may take to end at the stop. */
const STOP_GRACE_MS = 500;

/** Starts the local Pub/Sub: Google's own client talks to it with PUBSUB_EMULATOR_HOST. */
export async function startPubsub(options: PubsubOptions): Promise<Pubsub> {
  const { folder, host = "127.0.0.1" } = options;
  const faults = new Faults(options.seed);
  faults.set(options.rates ?? {});
  const signer = new TokenSigner(folder);
  const broker = new Broker({ faults, signer });
  const journal = folder
    ? await FileJournal.open(
        folder,
        (record) => broker.resources.apply(record),
        () => broker.resources.describe(),
      )
    : NO_JOURNAL;
  broker.start(journal);

  const server = new Server({
    "grpc.max_receive_message_length": MAX_RECEIVED_BYTES,
    "grpc.max_send_message_length": -1,
  });
  const streamingPull: handleBidiStreamingCall<StreamingPullRequest, object> = (call) =>
    void new StreamingPull(call, broker);
  const subscriber = handleCalls(createSubscriberService(broker), faults);
  server.addService(publisherService, handleCalls(createPublisherService(broker), faults));
  server.addService(subscriberService, { ...subscriber, streamingPull });
  const port = await bind(server, `${host}:${options.port}`);
  const control = await startControl({ broker, signer, host, port: options.controlPort ?? 0 });
  const controlPort = (control.address() as AddressInfo).port;
  return {
    host: `${host}:${port}`,
    controlUrl: `http://${host}:${controlPort}`,
    broker,
    async stop() {
      control.close();
      control.closeAllConnections();
      const timer = setTimeout(() => server.forceShutdown(), STOP_GRACE_MS);
      await new Promise((resolve) => server.tryShutdown(resolve));
      clearTimeout(timer);
      await broker.stop();
      if (control.listening) await once(control, "close");
    },
  };
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}
