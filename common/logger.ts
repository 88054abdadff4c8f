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

/**
 * The process's logger. `json`: one line of JSON for each event on standard output, in Cloud
 * Logging's form, by Google's own transport; `pretty`: coloured lines for people.
 */
export async function createLogger(options: {
  service: string;
  projectId: string;
  format: "json" | "pretty";
  level: string;
}): Promise<Logger> {
  const logger = createWinston({ level: options.level, format: nameTrace(options.projectId) });
  if (options.format === "pretty") return logger.add(prettyTransport(options.service));
  // Loaded here because it costs a third of a second and 45 MB that local runs need not pay.
  const { LoggingWinston } = await import("@google-cloud/logging-winston");
  const transport = new LoggingWinston({
    projectId: options.projectId,
    logName: "constancia",
    serviceContext: { service: options.service },
    labels: { service: options.service },
    redirectToStdout: true,
    useMessageField: false,
  });
  return logger.add(transport);
}

/** Cloud Logging nests a line under its request when the trace is named in full. */
function nameTrace(projectId: string) {
  return format((info) => {
    if (typeof info.trace === "string" && info.trace)
      info[TRACE_KEY] = `projects/${projectId}/traces/${info.trace}`;
    return info;
  })();
}

function prettyTransport(service: string) {
  const line = format.printf(({ level, message, timestamp, [TRACE_KEY]: _, ...fields }) => {
    const time = String(timestamp).slice(11, 23);
    return `${time} ${service.padEnd(10)} ${level} ${message}${prettyFields(fields)}`;
  });
  return new transports.Console({
    format: format.combine(format.timestamp(), format.colorize(), line),
  });
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
