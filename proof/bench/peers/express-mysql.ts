import express from "express";
import { createPool } from "mysql2/promise";

// No queue: the answer waits for the row.
const { MYSQL_URL = "", PORT } = process.env;
const pool = createPool(MYSQL_URL);
const app = express();
app.use(express.json());

app.post("/api/data", async (request, response) => {
  const [result] = await pool.execute("INSERT INTO temas (nombre) VALUES (?)", [
    request.body.nombre,
  ]);
  response.status(201).json({ id: (result as { insertId: number }).insertId });
});

app.listen(Number(PORT), "127.0.0.1", () => console.log("started"));
