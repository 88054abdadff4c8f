import { type CloudEvent, cloudEvent } from "@google-cloud/functions-framework";
import { createPool } from "mysql2/promise";

// A function triggered by Pub/Sub: one INSERT for each push. Who calls is checked before it, by
// Cloud Run, so here nobody is.
type Published = { message: { data: string } };
const pool = createPool(process.env.MYSQL_URL ?? "");

cloudEvent("settle", async (event: CloudEvent<Published>) => {
  const { nombre } = JSON.parse(Buffer.from(event.data?.message.data ?? "", "base64").toString());
  await pool.execute("INSERT INTO temas (nombre) VALUES (?)", [nombre]);
});
