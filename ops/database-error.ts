import { parseMysqlUrl } from "../common/database.ts";
import { classifyDatabaseError } from "../common/database-faults.ts";

/** An error of MySQL as a sentence for the person at the terminal; any other error as it is. */
export function explainDatabaseError(error: unknown, mysqlUrl: URL): unknown {
  const { code, sqlMessage } = error as { code?: string; sqlMessage?: string };
  const isMissing = code === "ER_NO_SUCH_TABLE" || code === "ER_BAD_FIELD_ERROR";
  if (sqlMessage)
    return new Error(`MySQL: ${sqlMessage}.${isMissing ? " Run npm run migrate first." : ""}`);
  if (classifyDatabaseError(error) !== "transient") return error;
  const { socketPath, host, port } = parseMysqlUrl(mysqlUrl) as Record<string, unknown>;
  return new Error(`MySQL cannot be reached at ${socketPath ?? `${host}:${port}`} (${code}).`);
}
