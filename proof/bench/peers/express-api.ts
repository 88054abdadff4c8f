import { PubSub } from "@google-cloud/pubsub";
import express from "express";
import { createPool } from "mysql2/promise";

// The seed's shape: each POST awaits its own message's publishing, as the client's guide shows.
const { MYSQL_URL = "", PUBSUB_TOPIC = "", PORT } = process.env;
const topic = new PubSub().topic(PUBSUB_TOPIC);
const pool = createPool(MYSQL_URL);
const app = express();
app.use(express.json());

app.post("/api/data", async (request, response) => {
  const messageId = await topic.publishMessage({ json: request.body });
  response.status(202).json({ messageId });
});

app.get("/api/data/:id", async (request, response) => {
  const [rows] = await pool.execute("SELECT * FROM temas WHERE id = ?", [request.params.id]);
  const [tema] = rows as unknown[];
  if (tema) response.json(tema);
  else response.status(404).json({ error: "Not found" });
});

app.listen(Number(PORT), "127.0.0.1", () => console.log("started"));
