import express, { type Request, type RequestHandler } from "express";
import { isTooDeep } from "../../common/collection.ts";
import { parseJson } from "../../common/json.ts";
import { BODY_BYTES, BULK_RECORDS, ITEM_BYTES } from "../../common/limits.ts";
import { bodyTooLarge, Problem } from "../answer/problem.ts";
import { NDJSON_TYPE, readContentCoding, readMediaType } from "./content-headers.ts";

/** A record of a request's body: its JSON value, or what is wrong with it, and the line of NDJSON. */
export type BodyRecord = ({ value: unknown } | { problem: Problem }) & { line?: number };

/** A body with a single item, or with many records. */
export type Body = { single: unknown } | { records: BodyRecord[] };

const inflate = express.raw({ type: () => true, limit: BODY_BYTES });
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads the body's bytes, decompressed, if its media type is supported. */
export const readBody: RequestHandler = (request, response, next) => {
  readMediaType(request);
  // An application's own middleware has read it.
  if (request.readableEnded) return next();
  // The readers below would wait for the end of a body that is refused anyway.
  if (Number(request.get("content-length")) > BODY_BYTES) throw bodyTooLarge();
  const coding = readContentCoding(request);
  if (coding === undefined) return readBytes(request, next);
  // Express's reader knows no other spelling.
  request.headers["content-encoding"] = coding;
  inflate(request, response, next);
};

/**
 * Waits for the end of a body that is ignored: a request that breaks off, or turns out malformed,
 * before its end must have no effect.
 */
export const skipBody: RequestHandler = (request, _response, next) => {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if ((length === undefined && coding === undefined) || request.readableEnded) return next();
  request
    .once("end", () => next())
    .once("error", () => next(endedEarly()))
    .resume();
};

/** Collects a body that is not compressed; `express.raw()` costs a POST a tenth more in all. */
function readBytes(request: Request, next: (error?: unknown) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request
    .on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      // The excess is read but not kept: a client that is still sending would miss the answer.
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

/** Parses the body as JSON or NDJSON. Throws a Problem where the whole body is unusable. */
export function parseBody(request: Request): Body {
  const body: unknown = request.body;
  // An application that uses `express.json()` has parsed it.
  if (typeof body === "object" && body !== null && !Buffer.isBuffer(body)) return toBody(body);
  const text = typeof body === "string" ? body : decode(body);
  if (readMediaType(request) === NDJSON_TYPE) {
    const records = text
      .split("\n")
      .flatMap((line, index) => (line.trim() === "" ? [] : [parseLine(line, index + 1)]));
    return { records: limitRecords(records) };
  }
  const value = parseText(text);
  if (Array.isArray(value)) return toBody(value);
  if (Buffer.byteLength(text) > ITEM_BYTES) throw tooLarge();
  return { single: value };
}

function toBody(value: object): Body {
  if (Array.isArray(value)) return { records: limitRecords(value.map(checkSize)) };
  const record = checkSize(value);
  if ("problem" in record) throw record.problem;
  return { single: value };
}

function decode(body: unknown): string {
  if (!Buffer.isBuffer(body) || body.length === 0)
    throw new Problem("malformed-body", "The body is empty.");
  try {
    return utf8.decode(body);
  } catch {
    throw new Problem("malformed-body", "The body is not valid UTF-8.");
  }
}

/** Parses the whole body, or one line of it. */
function parseText(text: string, line?: number): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    const place = line ? /at position \d+/ : /at position \d+( \(line \d+ column \d+\))?/;
    const [at] = place.exec((error as Error).message) ?? [];
    const what = line ? `Line ${line}` : "The body";
    throw new Problem("malformed-body", `${what} is not valid JSON${at ? `, ${at}` : ""}.`);
  }
}

function parseLine(text: string, line: number): BodyRecord {
  if (Buffer.byteLength(text) > ITEM_BYTES) return { problem: tooLarge(), line };
  try {
    return { value: parseText(text, line), line };
  } catch (error) {
    return { problem: error as Problem, line };
  }
}

function checkSize(value: unknown): BodyRecord {
  // JSON.stringify would overflow on one that is nested too deeply; checkItem refuses it.
  const isTooLarge = !isTooDeep(value) && Buffer.byteLength(JSON.stringify(value)) > ITEM_BYTES;
  return isTooLarge ? { problem: tooLarge() } : { value };
}

function limitRecords(records: BodyRecord[]): BodyRecord[] {
  if (records.length === 0) throw new Problem("malformed-body", "The body has no records.");
  if (records.length > BULK_RECORDS)
    throw new Problem("too-large", `A request can have at most ${BULK_RECORDS} records.`);
  return records;
}

function endedEarly(): Problem {
  return new Problem("malformed-body", "The body is incomplete.");
}

function tooLarge(): Problem {
  return new Problem("too-large", `An item can have at most ${ITEM_BYTES} bytes of JSON.`);
}
