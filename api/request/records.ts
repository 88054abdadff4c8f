import type { Request } from "express";
import { isTooDeep } from "../../common/item-check.ts";
import { parseJson } from "../../common/json.ts";
import { BULK_RECORDS, ITEM_BYTES } from "../../common/limits.ts";
import { itemTooLarge, Problem } from "../answer/problem.ts";
import { NDJSON_TYPE, readMediaType } from "./content-headers.ts";
import { isArrayText, splitArray } from "./json-array.ts";

/** A record of a request's body: its JSON value, or what is wrong with it, and the line of NDJSON. */
export type BodyRecord = ({ value: unknown } | { problem: Problem }) & { line?: number };

/** A body with a single item, or with many records, each parsed when it is taken. */
export type Body = { single: unknown } | { records: Iterable<BodyRecord>; count: number };

/** A longer array is parsed element by element: its values may be twenty times as large as its text. */
const WHOLE_CHARACTERS = 16 * 1024;
/** From a line's first character that is not white space to the line's end; empty lines are skipped. */
const LINE = /\S[^\n]*/g;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Parses the body as JSON or NDJSON. Throws a Problem where the whole body is unusable. */
export function parseBody(request: Request): Body {
  const body: unknown = request.body;
  // An application that uses `express.json()` has parsed it.
  if (typeof body === "object" && body !== null && !Buffer.isBuffer(body)) return toBody(body);
  const text = typeof body === "string" ? body : decode(body);
  // Only the text is needed from here; free the bytes.
  request.body = undefined;
  if (readMediaType(request) === NDJSON_TYPE)
    return { records: parseLines(text), count: limitRecords(countLines(text)) };
  const isArray = isArrayText(text);
  if (isArray && text.length > WHOLE_CHARACTERS)
    return { records: parseElements(text), count: limitRecords(checkElements(text)) };
  if (!isArray && Buffer.byteLength(text) > ITEM_BYTES) throw itemTooLarge();
  const value = parseText(text);
  if (Array.isArray(value))
    return { records: takeValues(value), count: limitRecords(value.length) };
  return { single: value };
}

function toBody(value: object): Body {
  if (Array.isArray(value))
    return { records: takeValues([...value]), count: limitRecords(value.length) };
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

/** Parses the whole body, one line of it, or one record of an array. */
function parseText(text: string, { line, record }: TextLocation = {}): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    const isWhole = line === undefined && record === undefined;
    const position = isWhole ? /at position \d+( \(line \d+ column \d+\))?/ : /at position \d+/;
    const [at] = position.exec((error as Error).message) ?? [];
    const what = line ? `Line ${line}` : record ? `Record ${record}` : "The body";
    throw new Problem("malformed-body", `${what} is not valid JSON${at ? `, ${at}` : ""}.`);
  }
}

/** Where in a body a text is, counted from 1. */
type TextLocation = { line?: number; record?: number };

/** Counts lines that are not empty, up to one more than a request may have. */
function countLines(text: string): number {
  let count = 0;
  for (const _ of text.matchAll(LINE)) {
    count += 1;
    if (count > BULK_RECORDS) break;
  }
  return count;
}

function* parseLines(text: string): Generator<BodyRecord> {
  let number = 1;
  let end = 0;
  for (const { 0: line, index } of text.matchAll(LINE)) {
    for (let lineEnd = text.indexOf("\n", end); lineEnd >= 0 && lineEnd < index; ) {
      number += 1;
      lineEnd = text.indexOf("\n", lineEnd + 1);
    }
    end = index;
    yield parseLine(line, number);
  }
}

/**
 * Counts the elements of an array, up to one more than a request may have. Throws 400 where one is not
 * valid JSON, so that nothing is accepted then; each is parsed again when its record is taken.
 */
function checkElements(text: string): number {
  let count = 0;
  for (const element of splitArray(text)) {
    count += 1;
    if (count > BULK_RECORDS) break;
    if (Buffer.byteLength(element) <= ITEM_BYTES) parseText(element, { record: count });
  }
  return count;
}

function* parseElements(text: string): Generator<BodyRecord> {
  for (const element of splitArray(text))
    yield Buffer.byteLength(element) > ITEM_BYTES
      ? { problem: itemTooLarge() }
      : { value: parseText(element) };
}

/** The values, which are removed as they are taken, so that those that are done with can be freed. */
function* takeValues(values: unknown[]): Generator<BodyRecord> {
  for (const [index, value] of values.entries()) {
    values[index] = undefined;
    yield checkSize(value);
  }
}

function parseLine(text: string, line: number): BodyRecord {
  if (Buffer.byteLength(text) > ITEM_BYTES) return { problem: itemTooLarge(), line };
  try {
    return { value: parseText(text, { line }), line };
  } catch (error) {
    return { problem: error as Problem, line };
  }
}

function checkSize(value: unknown): BodyRecord {
  // JSON.stringify would overflow on one that is nested too deeply; checkItem refuses it.
  const isTooLarge = !isTooDeep(value) && Buffer.byteLength(JSON.stringify(value)) > ITEM_BYTES;
  return isTooLarge ? { problem: itemTooLarge() } : { value };
}

function limitRecords(count: number): number {
  if (count === 0) throw new Problem("malformed-body", "The body has no records.");
  if (count > BULK_RECORDS)
    throw new Problem("too-large", `A request can have at most ${BULK_RECORDS} records.`);
  return count;
}
