import { createLogger as createWinston, format, type Logger, transports } from "winston";

export type { Logger } from "winston";

/**
 * A log line's fields. `trace` (32 hexadecimal digits) becomes Cloud Logging's own trace field.
 * Never a body, a key or a token.
 */
export type Fields = { trace?: string | null | undefined; [field: string]: unknown };

/** At most this many writes in one line, to stay within Cloud Logging's 256 KB an entry. */
export const WRITES_PER_LINE = 500;

const TRACE_KEY = "logging.googleapis.com/trace";
const LABELS_KEY = "logging.googleapis.com/labels";
/** Cloud Logging's names for the levels that are used here. */
const SEVERITIES: Record<string, string> = { warn: "WARNING" };

/**
 * The process's logger. `json`: one line of JSON for each event on standard output, in Cloud
 * Logging's form; `pretty`: coloured lines for people.
 */
export function createLogger(options: {
  service: string;
  projectId: string;
  format: "json" | "pretty";
  level: string;
}): Logger {
  const { service, projectId, level } = options;
  const line = options.format === "pretty" ? prettyLine(service) : jsonLine(service, projectId);
  // The logger's own format: it would make JSON of each line before a transport's could.
  return createWinston({ level, format: line, transports: [new transports.Console()] });
}

/**
 * The fields that Cloud Logging takes out of a line (cloud.google.com/logging/docs/structured-logging);
 * ours stand in `metadata`. Google's own transport writes the same, for 45 MB of memory and a fifth
 * of a second at each start.
 */
function jsonLine(service: string, projectId: string) {
  const labels = { service };
  return format.printf(({ level, message, ...metadata }) => {
    const nowMs = Date.now();
    const { trace } = metadata as Fields;
    return JSON.stringify({
      timestamp: { seconds: Math.floor(nowMs / 1_000), nanos: (nowMs % 1_000) * 1_000_000 },
      severity: SEVERITIES[level] ?? level.toUpperCase(),
      [LABELS_KEY]: labels,
      // Named in full, so that the line is nested under its request.
      [TRACE_KEY]: trace ? `projects/${projectId}/traces/${trace}` : undefined,
      message,
      metadata,
    });
  });
}

function prettyLine(service: string) {
  const line = format.printf(({ level, message, timestamp, ...fields }) => {
    const time = String(timestamp).slice(11, 23);
    return `${time} ${service.padEnd(10)} ${level} ${message}${prettyFields(fields)}`;
  });
  return format.combine(format.timestamp(), format.colorize(), line);
}

const DIM = "\u001b[2m";
const RESET = "\u001b[22m";
/** Of a batch, people want to see the first few. */
const PRETTY_WRITES = 3;

function prettyFields(fields: Record<string, unknown>): string {
  const parts = Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (name === "writes" && Array.isArray(value)) return [prettyWrites(value)];
    return [`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`];
  });
  return parts.length > 0 ? ` ${DIM}${parts.join(" ")}${RESET}` : "";
}

function prettyWrites(writes: Record<string, unknown>[]): string {
  const shown = writes.slice(0, PRETTY_WRITES).map((write) => Object.values(write).join(" "));
  const rest = writes.length - shown.length;
  return `[${shown.join(" | ")}${rest > 0 ? ` | and ${rest} more` : ""}]`;
}
