import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { BULK_RECORDS, ITEM_BYTES } from "../../common/limits.ts";
import type { Sent } from "../support/raw-http.ts";
import type { Document, Json, Operation } from "./document.ts";
import { maybe, nearValue } from "./values.ts";

const JSON_TYPE = "application/json";
const OTHER_TYPES = [
  "application/json; charset=utf-8",
  "application/json; charset=latin1",
  "text/plain",
  "",
];

type NearBody = Pick<Sent, "headers" | "body" | "plain">;

/** A body by the operation's schemas, then perhaps changed as a text, and encoded. */
export function nearBody(document: Document, { bodies }: Operation): fc.Arbitrary<NearBody> {
  const schema = bodies[JSON_TYPE];
  if (!schema)
    return maybe(0.03, fc.constant("{}")).map(([text]) => ({
      ...asBody(text, JSON_TYPE, ""),
      plain: text,
    }));
  const text = nearValue(document, schema).chain((value) =>
    changeText(JSON.stringify(value ?? null)),
  );
  const type = fc.oneof(
    { weight: 20, arbitrary: fc.constant(JSON_TYPE) },
    { weight: 1, arbitrary: fc.constantFrom(...OTHER_TYPES) },
  );
  const single = fc.tuple(text, type);
  const one = ((schema.anyOf as Json[] | undefined)?.[0] ?? schema) as Json;
  const line = nearValue(document, one).map((value) => JSON.stringify(value ?? null));
  const lines = fc.tuple(
    fc.array(line, { maxLength: 10 }).chain((all) => changeText(all.join("\n"))),
    fc.constant("application/x-ndjson"),
  );
  const large = fc.constantFrom(
    `{"nombre":"${"x".repeat(ITEM_BYTES)}"}`,
    `[${"{},".repeat(BULK_RECORDS)}{}]`,
    `${"[".repeat(5_000)}${"]".repeat(5_000)}`,
  );
  const body = fc.oneof(
    { weight: 60, arbitrary: single },
    { weight: 20, arbitrary: lines },
    { weight: 1, arbitrary: fc.tuple(large, type) },
  );
  const coding = fc.oneof(
    { weight: 12, arbitrary: fc.constant("") },
    { weight: 2, arbitrary: fc.constantFrom("gzip", "deflate", "br") },
    { weight: 1, arbitrary: fc.constantFrom("not gzip", "gzip, gzip", "zstd", "identity") },
  );
  return fc.tuple(body, coding).map(([[plain, type], encoding]) => asBody(plain, type, encoding));
}

const ODD_NUMBERS = ["1e999", "-0", "1E-400", "00", "0x1", "NaN", "9007199254740993", "1.50e1"];
/** A key with its colon. */
const KEY = /"[^"\\]*"\s*:/g;

/**
 * Mostly as it is; else cut, doubled, with odd numbers, a repeated key or escapes in keys, or not
 * UTF-8.
 */
function changeText(text: string): fc.Arbitrary<string> {
  const utf8 = Buffer.from(text).toString("latin1");
  const ways = [
    fc.nat(utf8.length).map((length) => utf8.slice(0, length)),
    fc
      .tuple(fc.constantFrom(...ODD_NUMBERS), fc.nat())
      .map(([number, place]) => replaceOne(utf8, /-?\d[\d.e+-]*/g, place, () => number)),
    fc.nat().map((place) => replaceOne(utf8, KEY, place, (key) => `${key}null,${key}`)),
    fc
      .nat()
      .map((place) =>
        replaceOne(utf8, KEY, place, (key) =>
          key.replace(/[a-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`),
        ),
      ),
    fc.constantFrom("\xff", "\xef\xbb\xbf", "\xed\xa0\x80", "\0", "]").map((bytes) => bytes + utf8),
    fc.constant(utf8 + utf8),
    fc.string({ unit: "binary" }).map((any) => Buffer.from(any).toString("latin1")),
  ];
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(utf8) },
    { weight: 1, arbitrary: fc.oneof(...ways) },
  );
}

/** Replaces the match at `place`, counted from 0 and past the last one from the first again. */
function replaceOne(
  text: string,
  pattern: RegExp,
  place: number,
  replace: (match: string) => string,
): string {
  const count = text.match(pattern)?.length ?? 0;
  let match = -1;
  return text.replace(pattern, (found) => {
    match += 1;
    return match === place % count ? replace(found) : found;
  });
}

function asBody(plain: string | undefined, type: string, encoding: string): NearBody {
  if (plain === undefined) return { headers: [], body: undefined, plain };
  const bytes = Buffer.from(plain, "latin1");
  const coders: Record<string, (bytes: Buffer) => Buffer> = {
    gzip: gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
  };
  const coded = coders[encoding]?.(bytes) ?? bytes;
  const codings: [string, string][] = encoding
    ? [["content-encoding", encoding.replace("not ", "")]]
    : [];
  return {
    headers: [["content-type", type], ...codings, ["content-length", String(coded.length)]],
    body: coded.toString("latin1"),
    plain,
  };
}
