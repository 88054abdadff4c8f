import {
  type CallCredentials,
  Client,
  type ClientOptions,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import type { AuthClient } from "google-auth-library";

const ADDRESS = "pubsub.googleapis.com:443";
/** What the tokens are for (Pub/Sub's authentication guide). */
const SCOPE = "https://www.googleapis.com/auth/pubsub";

const OPTIONS: ClientOptions = {
  // A response of a streaming pull may have more than the 4 MB that are taken by default.
  "grpc.max_receive_message_length": -1,
  // Two minutes by default, in which nothing is sent to a Pub/Sub that has come back.
  "grpc.max_reconnect_backoff_ms": 5_000,
  // A connection that is gone without a word is found at the first call after a pause, or by the
  // next of these pings (grpc.io/docs/guides/keepalive).
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 5_000,
};

/**
 * A connection to Pub/Sub, by the application default credentials; or to the emulator that
 * PUBSUB_EMULATOR_HOST names, without any. Rejects where there are none.
 */
export async function connectPubsub(): Promise<Client> {
  const emulator = process.env.PUBSUB_EMULATOR_HOST;
  if (emulator) return new Client(emulator, credentials.createInsecure(), OPTIONS);
  const { GoogleAuth } = await import("google-auth-library");
  const calls = getCallCredentials(await new GoogleAuth({ scopes: [SCOPE] }).getClient());
  return new Client(
    ADDRESS,
    credentials.combineChannelCredentials(credentials.createSsl(), calls),
    OPTIONS,
  );
}

/** What calls about a topic or a subscription carry, so that its servers are found (google.aip.dev/4222). */
export function routeTo(kind: "topic" | "subscription", name: string): Metadata {
  const metadata = new Metadata();
  metadata.set("x-goog-request-params", `${kind}=${encodeURIComponent(name)}`);
  return metadata;
}

/** grpc-js has one of these, which takes Google's `Headers` for an object without any. */
export function getCallCredentials(google: Pick<AuthClient, "getRequestHeaders">): CallCredentials {
  return credentials.createFromMetadataGenerator(({ service_url }, done) => {
    google.getRequestHeaders(service_url).then((headers) => {
      const metadata = new Metadata();
      headers.forEach((value, name) => {
        metadata.set(name, value);
      });
      done(null, metadata);
    }, done);
  });
}
