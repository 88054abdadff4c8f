import { styleText } from "node:util";
import type { Options as LoggingOptions } from "@google-cloud/logging-winston";
import { createLogger as createWinston, format, type Logger, transports } from "winston";
import { abbreviate } from "../characters.ts";

export type { Logger } from "winston";

/**
 * A log line's fields. `trace` (32 hexadecimal digits) is also written as Cloud Logging's own trace
 * field. Never log a body, a key or a token.
 */
export type Fields = { trace?: string | null | undefined; [field: string]: unknown };

/** Longer text is cut: a stack may be of any length. */
const TEXT_CHARACTERS = 16_000;
/** What is beyond this, of all fields together, is left out: Cloud Logging takes 256 KB an entry. */
const LINE_BYTES = 240_000;

/**
 * Creates the process's logger. `json` is for Cloud Logging: one line of JSON per event on standard
 * output, written by Google's own transport. `pretty` is for people: lines that are coloured where
 * Node's `styleText` finds that standard output shows colours (a terminal; NO_COLOR, FORCE_COLOR).
 */
export async function createLogger(options: {
  service: string;
  /** The version of the code, which Error Reporting shows. */
  version?: string;
  projectId: string;
  format: "json" | "pretty";
  level: string;
}): Promise<Logger> {
  const { service, version = "", projectId, level } = options;
  if (options.format === "pretty")
    return createWinston({
      level,
      format: createPrettyFormat(service),
      transports: [new transports.Console()],
    });
  // Imported here so that a local start, which prints pretty lines, does not wait for it.
  const { LoggingWinston } = await import("@google-cloud/logging-winston");
  // `fallback` is an option of Google's clients (google-gax) that the types leave out.
  const settings: LoggingOptions & { fallback: boolean } = {
    projectId,
    // App Engine and Cloud Run collect standard output: no calls, and no buffer to lose at exit.
    redirectToStdout: true,
    // There are no calls, so no gRPC clients are needed.
    fallback: true,
    // Otherwise all fields would be nested under `message`.
    useMessageField: false,
    labels: { service },
    serviceContext: { service: `constancia-${service}`, version },
  };
  return createWinston({
    level,
    format: createCloudFormat(projectId, LoggingWinston.LOGGING_TRACE_KEY),
    transports: [new LoggingWinston(settings)],
  });
}

/** Resolves once standard output has taken every line: a pipe that is full takes them later. */
export async function flushLog(): Promise<void> {
  await new Promise((resolve) => process.stdout.write("", resolve));
}

/** Names the trace in full, so that Cloud Logging shows the line under its request; cuts texts. */
function createCloudFormat(projectId: string, traceKey: string) {
  const change = format((info) => {
    if (info.trace) info[traceKey] = `projects/${projectId}/traces/${info.trace}`;
    const room = { bytes: LINE_BYTES };
    const { level: _, message, ...fields } = info;
    info.message = cut(message, room);
    for (const [name, value] of Object.entries(fields)) info[name] = cut(value, room);
    return info;
  });
  return change();
}

/** A value of a line, with texts cut, and without what does not fit into `room`. */
function cut(value: unknown, room: { bytes: number }): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) {
    const kept = typeof value === "string" ? abbreviate(value, TEXT_CHARACTERS) : value;
    room.bytes -= countBytes(kept);
    return room.bytes < 0 ? "…" : kept;
  }
  // Nearly always all of it fits, and need not be copied.
  const bytes = countBytes(value);
  if (bytes < Math.min(room.bytes, TEXT_CHARACTERS)) {
    room.bytes -= bytes;
    return value;
  }
  const parts: [string, unknown][] = [];
  for (const [name, part] of Object.entries(value)) {
    if (room.bytes < 0) break;
    if (!Array.isArray(value)) room.bytes -= countBytes(name);
    parts.push([name, cut(part, room)]);
  }
  return Array.isArray(value) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
}

/** The bytes of a value in JSON, or more: other characters than ASCII count as escaped ones. */
function countBytes(value: unknown): number {
  if (typeof value === "string") return (PLAIN.test(value) ? value.length : 6 * value.length) + 4;
  if (typeof value !== "object" || value === null || value instanceof Date) return NUMBER_BYTES;
  let bytes = 2;
  if (Array.isArray(value)) {
    for (const part of value) bytes += countBytes(part);
    return bytes;
  }
  for (const name in value)
    bytes += countBytes(name) + countBytes((value as Record<string, unknown>)[name]);
  return bytes;
}

const PLAIN = /^[ !#-[\]-~]*$/;
/** A number, a boolean or a date, with the comma after it. */
const NUMBER_BYTES = 28;

function createPrettyFormat(service: string) {
  const line = format.printf(({ level, message, timestamp, ...fields }) => {
    const time = String(timestamp).slice(11, 23);
    const shownLevel = styleText(LEVEL_COLORS[level] ?? "blue", level);
    return `${time} ${service.padEnd(10)} ${shownLevel} ${message}${formatFields(fields)}`;
  });
  return format.combine(format.timestamp(), line);
}

const LEVEL_COLORS: Record<string, "red" | "yellow" | "green"> = {
  error: "red",
  warn: "yellow",
  info: "green",
};
/** The most writes of a batch that are shown. */
const PRETTY_WRITES = 3;

function formatFields(fields: Record<string, unknown>): string {
  const parts = Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (name === "writes" && Array.isArray(value)) return [formatWrites(value)];
    return [`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`];
  });
  return parts.length > 0 ? ` ${styleText("dim", parts.join(" "))}` : "";
}

function formatWrites(writes: Record<string, unknown>[]): string {
  const shown = writes.slice(0, PRETTY_WRITES).map((write) => Object.values(write).join(" "));
  const rest = writes.length - shown.length;
  return `[${shown.join(" | ")}${rest > 0 ? ` | and ${rest} more` : ""}]`;
}
