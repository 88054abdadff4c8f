import { createInterface } from "node:readline";
import { ITEM_ID } from "../../common/item-id.ts";
import { parseJson } from "../../common/json.ts";
import { isWriteId } from "../../common/write-id.ts";

/** An accepted write as the log has it; of a bare id nothing else is known. */
export type AcceptedWrite = { id: string; collection?: string; item?: string; request?: string };

/** What was read so far. */
export type ReadCounts = {
  acceptedLines: number;
  bareIds: number;
  /** Lines and entries about something else. */
  others: number;
  /** About accepted writes, but broken or incomplete: some writes may be unknown here. */
  unreadable: number;
};

/** The message of the API's log line; the README, the docs and the log-based metrics use it too. */
export const ACCEPTED = "writes accepted";

/**
 * Reads accepted writes from a text: the API's log lines in JSON, log entries in JSON, one a line
 * or in an array as gcloud prints it, and bare write ids. Everything else is counted as others.
 */
export async function* readAcceptedWrites(
  text: NodeJS.ReadableStream,
  counts: ReadCounts,
): AsyncGenerator<AcceptedWrite[]> {
  let isInArray = false;
  // gcloud indents the elements of an array by two spaces, so an entry is what is between "  {"
  // and "  }", and no line within it begins like that.
  let entry = "";
  for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === "[" || line === "]") isInArray = line === "[";
    else if (isInArray && (entry !== "" || line === "  {")) {
      entry += line;
      if (!/^ {2}\},?$/.test(line)) continue;
      yield parseRecord(entry, counts);
      entry = "";
    } else yield parseRecord(line, counts);
  }
  if (isInArray) counts.unreadable += 1;
}

/** The writes of a log entry: Cloud Logging's, or a line of the API. */
export function parseEntry(entry: unknown, counts: ReadCounts): AcceptedWrite[] {
  const { jsonPayload = entry } = entry as { jsonPayload?: unknown };
  const { message, metadata } = (jsonPayload ?? {}) as {
    message?: unknown;
    metadata?: { writes?: unknown };
  };
  if (message !== ACCEPTED) {
    counts.others += 1;
    return [];
  }
  const logged: unknown[] = Array.isArray(metadata?.writes) ? metadata.writes : [];
  const writes = logged.filter(isAcceptedWrite);
  counts.acceptedLines += 1;
  if (writes.length === 0 || writes.length < logged.length) counts.unreadable += 1;
  return writes.map(({ id, collection, item, request }) =>
    typeof request === "string" ? { id, collection, item, request } : { id, collection, item },
  );
}

/** A line, or an entry of several lines. */
function parseRecord(record: string, counts: ReadCounts): AcceptedWrite[] {
  const text = record.trim().replace(/,$/, "");
  if (text === "") return [];
  if (isWriteId(text)) return parseValue(text, counts);
  const value = readJson(text);
  if (value !== undefined || !text.includes(ACCEPTED)) return parseValue(value, counts);
  counts.unreadable += 1;
  return [];
}

function parseValue(value: unknown, counts: ReadCounts): AcceptedWrite[] {
  if (Array.isArray(value)) return value.flatMap((element) => parseValue(element, counts));
  if (typeof value === "object" && value !== null) return parseEntry(value, counts);
  if (typeof value === "string" && isWriteId(value)) {
    counts.bareIds += 1;
    return [{ id: value }];
  }
  counts.others += 1;
  return [];
}

function readJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function isAcceptedWrite(write: unknown): write is Required<AcceptedWrite> {
  const { id, collection, item } = (write ?? {}) as Record<string, unknown>;
  return (
    typeof id === "string" &&
    isWriteId(id) &&
    typeof collection === "string" &&
    typeof item === "string" &&
    ITEM_ID.test(item)
  );
}
