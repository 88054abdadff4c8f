import { parseArgs } from "node:util";
import { loadVariables } from "../common/config.ts";
import { migrate } from "../ops/migrate.ts";
import { DEFAULTS } from "./options.ts";
import { createTopology } from "./topology.ts";

/*
 * Makes the topics on an emulator and the tables in a database that run already, once, for
 * compose.yaml. With `--push-to` the emulator pushes there; without it, the subscriber pulls.
 */
const { values } = parseArgs({ options: { "push-to": { type: "string" } } });
const pushTo = values["push-to"];
const config = await loadVariables([
  "GOOGLE_CLOUD_PROJECT",
  "MYSQL_URL",
  "MYSQL_PASSWORD",
  "PUBSUB_EMULATOR_HOST",
  "PUBSUB_TOPIC",
  "PUBSUB_SUBSCRIPTION",
  "PUBSUB_DEAD_LETTER_SUBSCRIPTION",
]);
await createTopology({
  host: config.PUBSUB_EMULATOR_HOST,
  projectId: config.GOOGLE_CLOUD_PROJECT,
  topic: config.PUBSUB_TOPIC,
  subscription: config.PUBSUB_SUBSCRIPTION,
  deadLetterTopic: DEFAULTS.PUBSUB_DEAD_LETTER_TOPIC,
  deadLetterSubscription: config.PUBSUB_DEAD_LETTER_SUBSCRIPTION,
  ...(pushTo ? { pushEndpoint: pushTo, deadLetterPushEndpoint: `${pushTo}/dead-letters` } : {}),
});
const migrated = await migrate(config.MYSQL_URL);
console.log(`the topics are there; migrated: ${migrated.join(", ") || "nothing to migrate"}`);
