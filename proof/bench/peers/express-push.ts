import express from "express";
import { createPool } from "mysql2/promise";

// The seed's shape, where Pub/Sub pushes: one INSERT for each push. The token is not verified.
const { MYSQL_URL = "", PORT } = process.env;
const pool = createPool(MYSQL_URL);
const app = express();
app.use(express.json());

app.post("/push", async (request, response) => {
  const { nombre } = JSON.parse(Buffer.from(request.body.message.data, "base64").toString());
  await pool.execute("INSERT INTO temas (nombre) VALUES (?)", [nombre]);
  response.status(204).end();
});

app.listen(Number(PORT), "127.0.0.1", () => console.log("started"));
