import { PubSub } from "@google-cloud/pubsub";

// What pulling costs by itself: every message is acknowledged as it comes, and counted.
const { PUBSUB_SUBSCRIPTION = "", PULL_STREAMS, PULL_MESSAGES } = process.env;
const COUNT_MS = 50;
let count = 0;
const subscription = new PubSub().subscription(PUBSUB_SUBSCRIPTION, {
  flowControl: { maxMessages: Number(PULL_MESSAGES), allowExcessMessages: false },
  streamingOptions: { maxStreams: Number(PULL_STREAMS) },
});
subscription.on("message", (message) => {
  message.ack();
  count += 1;
});
console.log("started");
setInterval(() => console.log(`count ${count}`), COUNT_MS);
