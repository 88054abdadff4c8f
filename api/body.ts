import express, { type Request, type RequestHandler } from "express";
import { isTooDeep } from "../common/collection.ts";
import { BODY_BYTES, BULK_RECORDS, ITEM_BYTES } from "../common/limits.ts";
import { Problem } from "./problem.ts";

/** A record of a request's body: its JSON value, or what is wrong with it. */
export type BodyRecord = { value: unknown } | { problem: Problem };

/** A body with one object, or with many records. */
export type Body = { single: unknown } | { records: BodyRecord[] };

const JSON_TYPE = "application/json";
const NDJSON_TYPE = "application/x-ndjson";

const inflate = express.raw({ type: () => true, limit: BODY_BYTES });
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads a body's bytes, decompressed, once its media type is known to be one that is taken. */
export const readBody: RequestHandler = (request, response, next) => {
  getMediaType(request);
  // The body reader would wait for a body that it refuses.
  if (Number(request.get("content-length")) > BODY_BYTES) throw bodyTooLarge();
  if (request.headers["content-encoding"] === undefined) readBytes(request, next);
  else inflate(request, response, next);
};

/**
 * Waits for the end of a body that says nothing. Without it a request would be done that breaks off
 * or goes wrong before its end, and is refused for that.
 */
export const skipBody: RequestHandler = (request, _response, next) => {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if (length === undefined && coding === undefined) return next();
  request
    .once("end", () => next())
    .once("error", () => next(endedEarly()))
    .resume();
};

/**
 * Collects a body that is sent as it is. Express's reader, which decompresses too, costs half of
 * what all else in a request does.
 */
function readBytes(request: Request, next: (error?: unknown) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request
    .on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      // What is too much is let go, but read: a client that still sends would miss the answer.
      if (bytes <= BODY_BYTES) chunks.push(chunk);
      else chunks.length = 0;
    })
    .once("end", () => {
      if (bytes > BODY_BYTES) return next(bodyTooLarge());
      request.body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      next();
    })
    .once("error", () => next(endedEarly()));
}

/** The bytes as JSON or NDJSON. Throws a Problem where the whole body is unusable. */
export function parseBody(request: Request): Body {
  const text = decode(request.body);
  if (getMediaType(request) === NDJSON_TYPE) {
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    return { records: limitRecords(lines.map(parseLine)) };
  }
  const value = parseJson(text);
  if (!Array.isArray(value)) {
    if (Buffer.byteLength(text) > ITEM_BYTES) throw tooLarge();
    return { single: value };
  }
  return { records: limitRecords(value.map((record) => checkSize(record))) };
}

/** RFC 9110, section 8.3; only UTF-8, which RFC 8259 wants, may be named as charset. */
function getMediaType(request: Request): string {
  if (request.headers["content-type"] === JSON_TYPE) return JSON_TYPE;
  const [type = "", ...parameters] = (request.get("content-type") ?? "")
    .split(";")
    .map((part) => part.trim().toLowerCase());
  const isUtf8 = parameters.every((parameter) => /^charset="?utf-8"?$/.test(parameter));
  if ((type === JSON_TYPE || type === NDJSON_TYPE) && isUtf8) return type;
  throw new Problem(
    "wrong-media-type",
    `The content type must be ${JSON_TYPE} or ${NDJSON_TYPE}, in UTF-8.`,
    { headers: { Accept: `${JSON_TYPE}, ${NDJSON_TYPE}` } },
  );
}

function decode(body: unknown): string {
  if (!Buffer.isBuffer(body) || body.length === 0)
    throw new Problem("malformed-body", "The body is empty.");
  try {
    return utf8.decode(body);
  } catch {
    throw new Problem("malformed-body", "The body is not UTF-8.");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = /at position \d+( \(line \d+ column \d+\))?/.exec((error as Error).message)?.[0];
    throw new Problem("malformed-body", `The body is not JSON${at ? `: see it ${at}` : ""}.`);
  }
}

function parseLine(line: string): BodyRecord {
  if (Buffer.byteLength(line) > ITEM_BYTES) return { problem: tooLarge() };
  try {
    return { value: JSON.parse(line) };
  } catch {
    return { problem: new Problem("malformed-body", "The line is not JSON.") };
  }
}

function checkSize(value: unknown): BodyRecord {
  // One that is nested too deeply for JSON.stringify is refused with the item.
  const isTooLarge = !isTooDeep(value) && Buffer.byteLength(JSON.stringify(value)) > ITEM_BYTES;
  return isTooLarge ? { problem: tooLarge() } : { value };
}

function limitRecords(records: BodyRecord[]): BodyRecord[] {
  if (records.length === 0) throw new Problem("malformed-body", "The body has no records.");
  if (records.length > BULK_RECORDS)
    throw new Problem("too-large", `A request may have ${BULK_RECORDS} records at most.`);
  return records;
}

/** Closes the connection, so that what is still being sent is not read as the next request. */
export function bodyTooLarge(): Problem {
  const detail = `A body may have ${BODY_BYTES} bytes at most, decompressed.`;
  return new Problem("too-large", detail, { headers: { Connection: "close" } });
}

function endedEarly(): Problem {
  return new Problem("malformed-body", "The body ended too early.");
}

function tooLarge(): Problem {
  return new Problem("too-large", `An item may have ${ITEM_BYTES} bytes of JSON at most.`);
}
