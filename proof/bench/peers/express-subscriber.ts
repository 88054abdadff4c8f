import { PubSub } from "@google-cloud/pubsub";
import { createPool } from "mysql2/promise";

// The seed's shape: one INSERT for each message. One stream, as Constancia's subscriber has; the
// rest is the client's defaults.
const { MYSQL_URL = "", PUBSUB_SUBSCRIPTION = "" } = process.env;
const pool = createPool(MYSQL_URL);
const subscription = new PubSub().subscription(PUBSUB_SUBSCRIPTION, {
  streamingOptions: { maxStreams: 1 },
});

subscription.on("message", async (message) => {
  try {
    const { nombre } = JSON.parse(message.data.toString());
    await pool.execute("INSERT INTO temas (nombre) VALUES (?)", [nombre]);
    message.ack();
  } catch (error) {
    console.error(error);
    message.nack();
  }
});
console.log("started");
