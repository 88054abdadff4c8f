import type { Request } from "express";
import { Problem, unsupportedCoding } from "../answer/problem.ts";
import { readPair, splitHeader } from "./header-values.ts";

const JSON_TYPE = "application/json";
export const NDJSON_TYPE = "application/x-ndjson";

/** US-ASCII is a part of UTF-8; `utf8` is a common misspelling. */
const CHARSETS = new Set(["utf-8", "utf8", "us-ascii"]);
/** By the names of RFC 9110, 8.4.1, of which `x-gzip` is an older one. */
const CODINGS = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
  ["zstd", "zstd"],
]);

/**
 * The body's media type (RFC 9110, 8.3). Throws 415 where it is another, or its charset is not UTF-8,
 * which is JSON's only one (RFC 8259). Other parameters are ignored: JSON has none.
 */
export function readMediaType(request: Request): string {
  const header = request.headers["content-type"] ?? "";
  if (header === JSON_TYPE) return JSON_TYPE;
  const [name = "", ...parameters] = splitHeader(header, ";");
  const type = name.toLowerCase();
  const isUtf8 = parameters
    .map(readPair)
    .every((parameter) => parameter.name !== "charset" || isCharset(parameter.value));
  if ((type === JSON_TYPE || type === NDJSON_TYPE) && isUtf8) return type;
  const types = `${JSON_TYPE}, ${NDJSON_TYPE}`;
  throw new Problem(
    "wrong-media-type",
    `The content type must be ${JSON_TYPE} or ${NDJSON_TYPE}, in UTF-8.`,
    {
      headers: { Accept: types, ...(request.method === "POST" ? { "Accept-Post": types } : {}) },
    },
  );
}

function isCharset(value: string): boolean {
  return CHARSETS.has(value.toLowerCase());
}

/** The body's content coding, if it has one (RFC 9110, 8.4). Throws 415 where it is not supported. */
export function readContentCoding({ headers }: Request): string | undefined {
  const header = headers["content-encoding"];
  if (header === undefined) return undefined;
  const names = splitHeader(header.toLowerCase(), ",").filter((name) => name !== "identity");
  if (names.length === 0) return undefined;
  const coding = names.length === 1 ? CODINGS.get(names[0] ?? "") : undefined;
  if (coding) return coding;
  throw unsupportedCoding();
}
