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

/**
 * A line has no more bytes than this, its end included. Cloud Logging takes 256 KB, but Docker and
 * others that collect a process's output split longer lines, which then are no JSON any more.
 */
const LINE_BYTES = 16 * 1024;
/** What Google's library adds to a line: time, severity, labels, trace, service, the log's name. */
const ADDED_BYTES = 1_024;
/** What a line may have beside the part of a list that {@link splitIntoLines} gives it. */
const BESIDE_LIST_BYTES = 1_024;

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

/**
 * Splits a list into parts that fit a line each, beside a few short fields. For lists of which nothing
 * may be missing; what is logged whole is cut where it does not fit.
 */
export function splitIntoLines<Item>(list: readonly Item[]): Item[][] {
  const lines: Item[][] = [];
  let left = 0;
  for (const item of list) {
    const bytes = countBytes(item);
    if (left < bytes) {
      lines.push([]);
      left = LINE_BYTES - ADDED_BYTES - BESIDE_LIST_BYTES;
    }
    left -= bytes;
    lines.at(-1)?.push(item);
  }
  return lines;
}

/** Names the trace in full, so that Cloud Logging shows the line under its request; cuts the line. */
function createCloudFormat(projectId: string, traceKey: string) {
  const change = format((info) => {
    const room = { bytes: LINE_BYTES - ADDED_BYTES, isCut: false };
    const { level: _, message, ...fields } = info;
    info.message = cut(message, room);
    for (const [name, value] of Object.entries(fields)) {
      room.bytes -= countBytes(name);
      // Google's library writes a stack twice: it is part of the message, too.
      if (room.bytes > NUMBER_BYTES) info[name] = cut(value, room, name === "stack" ? 2 : 1);
      else {
        delete info[name];
        room.isCut = true;
      }
    }
    if (room.isCut) info.truncated = true;
    if (info.trace) info[traceKey] = `projects/${projectId}/traces/${info.trace}`;
    return info;
  });
  return change();
}

/** A value of a line that is written `times`, without what does not fit into `room`. */
function cut(value: unknown, room: { bytes: number; isCut: boolean }, times = 1): unknown {
  // Nearly always all of it fits.
  const bytes = times * countBytes(value);
  if (bytes <= room.bytes) {
    room.bytes -= bytes;
    return value;
  }
  room.isCut = true;
  if (typeof value !== "object" || value === null || value instanceof Date) {
    const kept = typeof value === "string" ? shorten(value, room.bytes / times) : "…";
    room.bytes -= times * countBytes(kept);
    return kept;
  }
  const parts: [string, unknown][] = [];
  room.bytes -= 3;
  for (const [name, part] of Object.entries(value)) {
    if (!Array.isArray(value)) room.bytes -= countBytes(name);
    if (room.bytes < NUMBER_BYTES) break;
    parts.push([name, cut(part, room)]);
  }
  return Array.isArray(value) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
}

/** Cuts a text until it fits; no character of it has less than a byte. */
function shorten(text: string, bytes: number): string {
  let kept = abbreviate(text, Math.max(0, Math.floor(bytes)));
  for (let size = countBytes(kept); size > bytes && kept.length > 1; size = countBytes(kept))
    kept = abbreviate(text, Math.floor(((kept.length - 1) * Math.max(0, bytes - 8)) / size));
  return kept;
}

/** The bytes of a value in JSON, with what comes between it and the next. */
function countBytes(value: unknown): number {
  if (typeof value === "string")
    return (PLAIN.test(value) ? value.length + 2 : Buffer.byteLength(JSON.stringify(value))) + 2;
  if (typeof value !== "object" || value === null || value instanceof Date) return NUMBER_BYTES;
  let bytes = 3;
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
