import { startLocalPubsub } from "./local-pubsub.ts";
import { type EmulatorOptions, startEmulator } from "./official-emulator.ts";
import type { PortFinder } from "./ports.ts";

/** The local Pub/Sub, or Google's emulator. */
export const PUBSUB_KINDS = ["local", "emulator"] as const;
export type PubsubKind = (typeof PUBSUB_KINDS)[number];

/** A Pub/Sub, and the variables with which a subscriber verifies its pushes. */
export type KnownPubsub = { host: string; pushSettings: Record<string, string> };

const WANTED_PORTS = { pubsub: 8085, control: 8086 };
/** Of the tokens with which the local Pub/Sub pushes. */
const TOKEN_SETTINGS = {
  PUSH_AUDIENCE: "constancia-local",
  PUSH_SERVICE_ACCOUNT: "pusher@constancia-local.iam.gserviceaccount.com",
};

/** One that runs already; whether its pushes have tokens is not known. */
export function describePubsub(host: string): KnownPubsub {
  return { host, pushSettings: { PUSH_AUTH: "off" } };
}

/** Starts one for `npm start`; the local one keeps unsettled messages in `folder`. */
export async function startPubsub(
  kind: PubsubKind,
  options: Omit<EmulatorOptions, "port" | "logFile"> & { ports: PortFinder; folder: string },
): Promise<KnownPubsub> {
  const { ports, folder, say } = options;
  const common = {
    ...options,
    port: await ports.find(WANTED_PORTS.pubsub, "Pub/Sub"),
    logFile: `${folder}.log`,
  };
  if (kind === "emulator") {
    const { host } = await startEmulator(common);
    say(`the Pub/Sub emulator is ready on ${host}`);
    return describePubsub(host);
  }
  const controlPort = await ports.find(WANTED_PORTS.control, "Pub/Sub's control interface");
  const { host, controlUrl } = await startLocalPubsub({ ...common, controlPort });
  say(`Pub/Sub is ready on ${host}, its control interface on ${controlUrl}`);
  return { host, pushSettings: { ...TOKEN_SETTINGS, PUSH_CERTS_URL: `${controlUrl}/certs` } };
}
