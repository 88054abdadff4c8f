import { Duration, PubSub } from "@google-cloud/pubsub";

// The limit of pulling: the client as it is configured for the subscriber, every message counted
// and acknowledged as it is delivered.
const { PUBSUB_SUBSCRIPTION = "", PULL_MESSAGES } = process.env;
const COUNT_MS = 50;
const LEASE = Duration.from({ seconds: 15 });
let count = 0;
const subscription = new PubSub().subscription(PUBSUB_SUBSCRIPTION, {
  minAckDeadline: LEASE,
  maxAckDeadline: LEASE,
  flowControl: { maxMessages: Number(PULL_MESSAGES), allowExcessMessages: true },
  streamingOptions: { maxStreams: 1 },
  batching: { maxMilliseconds: 20, callOptions: { timeout: 5_000, retry: null } },
});
subscription.on("message", (message) => {
  message.ack();
  count += 1;
});
console.log("started");
setInterval(() => console.log(`count ${count}`), COUNT_MS);
