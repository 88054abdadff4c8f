import { PULL_MESSAGES } from "../../../common/limits.ts";
import { createLogger } from "../../../common/telemetry/logger.ts";
import { pullSubscription } from "../../../subscriber/pull-subscription.ts";

// The limit of pulling: Google's client as the subscriber configures it, every message counted and
// acknowledged as it is delivered.
const {
  GOOGLE_CLOUD_PROJECT: projectId = "",
  PUBSUB_EMULATOR_HOST: emulatorHost = "",
  PUBSUB_SUBSCRIPTION: subscription = "",
} = process.env;
const COUNT_MS = 50;
let count = 0;
pullSubscription({
  projectId,
  emulatorHost,
  subscription,
  maxMessages: PULL_MESSAGES,
  logger: await createLogger({ service: "limit", projectId, format: "json", level: "error" }),
  async onDelivery(delivery) {
    delivery.ack();
    count += 1;
  },
});
console.log("started");
setInterval(() => console.log(`count ${count}`), COUNT_MS);
