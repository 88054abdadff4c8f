import { classifyDatabaseError, parseMysqlUrl } from "../common/database.ts";
import { escapeControls } from "./escape-controls.ts";

/** Whoever reads us through a pipe may have read enough; that is no fault of ours. */
export function allowEarlyReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}

/** Writes to standard output; what came from outside must not steer the terminal. */
export function print(text: string): number {
  process.stdout.write(escapeControls(text));
  return 0;
}

/** Writes to standard error; returns the exit status for it. */
export function printError(text: string): number {
  process.stderr.write(escapeControls(text));
  return 1;
}

/** What went wrong with MySQL, as a sentence for the one who ran the command. */
export function explainDatabaseError(error: unknown, mysqlUrl: URL): unknown {
  const { code, sqlMessage } = error as { code?: string; sqlMessage?: string };
  const isMissing = code === "ER_NO_SUCH_TABLE" || code === "ER_BAD_FIELD_ERROR";
  if (sqlMessage)
    return new Error(`MySQL: ${sqlMessage}.${isMissing ? " Run npm run migrate first." : ""}`);
  if (classifyDatabaseError(error) !== "transient") return error;
  const { socketPath, host, port } = parseMysqlUrl(mysqlUrl) as Record<string, unknown>;
  return new Error(`MySQL cannot be reached at ${socketPath ?? `${host}:${port}`} (${code}).`);
}
