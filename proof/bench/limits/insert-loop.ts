import { createConnection } from "mysql2/promise";
import { mintWriteId } from "../../../common/write-id.ts";

// The limit of MySQL: one connection, rows of the collection, many in a statement.
const { MYSQL_URL = "", COUNT, ROWS_PER_STATEMENT = "500" } = process.env;
const connection = await createConnection(MYSQL_URL);
console.log("started");
const now = new Date().toISOString().slice(0, 23).replace("T", " ");
for (let left = Number(COUNT); left > 0; left -= Number(ROWS_PER_STATEMENT)) {
  const rows = Array.from({ length: Math.min(left, Number(ROWS_PER_STATEMENT)) }, () => {
    const id = mintWriteId();
    return [id, id, now, now, now, null, null, null, "Valpo"];
  });
  const columns =
    "id, version, created_at, updated_at, applied_at, deleted_at, fingerprint, trace, nombre";
  await connection.query(`INSERT INTO data (${columns}) VALUES ?`, [rows]);
}
await connection.end();
// Stays alive, so that its processor time can still be read.
setInterval(() => {}, 60_000);
