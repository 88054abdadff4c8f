import fastify from "fastify";
import { createPool } from "mysql2/promise";

// No queue: the answer waits for the row. With schemas, as Fastify's guide advises.
const { MYSQL_URL = "", PORT } = process.env;
const pool = createPool(MYSQL_URL);
const app = fastify();
const body = {
  type: "object",
  required: ["nombre"],
  properties: { nombre: { type: "string", minLength: 1, maxLength: 255 } },
};

app.post<{ Body: { nombre: string } }>(
  "/api/data",
  { schema: { body } },
  async (request, reply) => {
    const [result] = await pool.execute("INSERT INTO temas (nombre) VALUES (?)", [
      request.body.nombre,
    ]);
    reply.code(201);
    return { id: (result as { insertId: number }).insertId };
  },
);

app.get<{ Params: { id: string } }>("/api/data/:id", async (request, reply) => {
  const [rows] = await pool.execute("SELECT * FROM temas WHERE id = ?", [request.params.id]);
  const [tema] = rows as unknown[];
  if (!tema) reply.code(404);
  return tema ?? { error: "Not found" };
});

await app.listen({ port: Number(PORT), host: "127.0.0.1" });
console.log("started");
