import fc from "fast-check";
import type { Sent } from "../support/raw-http.ts";
import { nearBody } from "./bodies.ts";
import type { Document, Operation, Parameter } from "./document.ts";
import { maybe, nearValue, oddValue } from "./values.ts";

/** Few, so that requests meet each other's items. */
const IDS = ["a", "b", "c", "d", "~", ".-_", "x".repeat(64)];
/** Placeholders for a write, its receipt and its item, once the API has confirmed one. */
export const KNOWN_WRITE = "[write]";
export const KNOWN_RECEIPT = "[receipt]";
export const KNOWN_ITEM = "[item]";

const OTHER_METHODS = "OPTIONS HEAD PATCH TRACE PROPFIND M-SEARCH DELETE POST".split(" ");
const OTHER_TARGETS = [
  ..."/ /api /api/ // /api// /api/data/ /api/data/a/ /api/data// /* /? /?x".split(" "),
  ..."/API/data /api/Data /api/writes /api/dead_letters /api/__proto__".split(" "),
  ..."/api/constructor/x /api/data/% /api/data/%ff /api/data/%00 /api/data/..%2f..".split(" "),
  ..."/api/../api/data /./health/live /api/dat%61/a /api/data/a?after".split(" "),
  ..."/api/data?limit=1&limit=2 /api/data?__proto__=1 /api/data?=&=& /health".split(" "),
  ..."/health/live/x /openapi.json/ /openapi.json?x=% /_ah/start /favicon.ico".split(" "),
  "http://elsewhere.example/api/data",
  `/api/data/${"x".repeat(3_000)}`,
  `/${"a/".repeat(1_000)}`,
];
const LARGE_HEADER: [string, string] = ["x-large", "y".repeat(20_000)];
const OTHER_HEADERS: [name: string, value: string][] = [
  ["accept", "*/*"],
  ["accept", "text/html"],
  ["accept", "image/png"],
  ["accept", "application/json;q=0"],
  ["accept", ";;"],
  ["accept", "a".repeat(2_000)],
  ["expect", "100-continue"],
  ["expect", "200-ok"],
  ["expect", ""],
  ["origin", "https://app.example"],
  ["origin", "https://evil.example"],
  ["origin", "null"],
  ["traceparent", "00-0-0-00"],
  ["traceparent", `00-${"0".repeat(32)}-${"0".repeat(16)}-00`],
  ["traceparent", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`],
  ["authorization", "Bearer"],
  ["authorization", "Bearer reader"],
  ["authorization", "Bearer writer"],
  ["authorization", "bearer  writer"],
  ["authorization", "Basic d3JpdGVy"],
  ["authorization", `Bearer ${"x".repeat(4_000)}`],
  ["access-control-request-method", "PUT"],
  ["connection", "close"],
  ["connection", "upgrade"],
  ["upgrade", "websocket"],
  ["te", "trailers"],
  ["range", "bytes=0-1"],
  ["if-modified-since", "yesterday"],
  ["x-forwarded-for", "127.0.0.1"],
  ["x-http-method-override", "DELETE"],
  ["content-range", "bytes 0-9/20"],
  ["x-appengine-user-ip", "203.0.113.7"],
  ["x-request-id", "a b\xff"],
  ["cookie", "a=b"],
  LARGE_HEADER,
];
const PREFERENCES = [
  "wait=0",
  "wait=1",
  "return=minimal",
  "wait=1, return=minimal",
  "wait",
  "wait=x",
  "x; wait=x",
  ";;",
];
/** The characters that Node sends in a header. */
const headerText = fc.string({ unit: fc.constantFrom(..."aZ09 \"',;=*/\\<>{}[]\t\xe9\xff") });

/** Requests near to what the document describes, any of its operations. */
export function nearRequest(document: Document): fc.Arbitrary<Sent> {
  const described = document.operations.map((operation) => describedRequest(document, operation));
  const item = document.operations.filter(({ path }) => path.includes("{id}"));
  const stray = fc
    .tuple(
      fc.constantFrom(...OTHER_METHODS, "GET", "PUT"),
      fc.oneof(
        fc.constantFrom(...OTHER_TARGETS),
        fc.webPath().map((path) => path || "/"),
      ),
      nearBody(document, item[0] as Operation),
      otherHeaders,
    )
    .map(([method, target, { headers, ...body }, more]): Sent => {
      return { method, target, headers: [...headers, ...more], ...body };
    });
  return fc
    .oneof({ weight: 9, arbitrary: fc.oneof(...described) }, { weight: 1, arbitrary: stray })
    .map(dropLargeHeaderOfHead);
}

/** A server that refuses a head before its end cannot know that the answer must have no body. */
function dropLargeHeaderOfHead(sent: Sent): Sent {
  if (sent.method !== "HEAD") return sent;
  return { ...sent, headers: sent.headers.filter(([name]) => name !== LARGE_HEADER[0]) };
}

function describedRequest(document: Document, operation: Operation): fc.Arbitrary<Sent> {
  const { method, path, parameters } = operation;
  const headers = parameters.filter((parameter) => parameter.in === "header");
  return fc
    .record({
      method: fc.oneof(
        { weight: 24, arbitrary: fc.constant(method) },
        { weight: 1, arbitrary: fc.constantFrom(...OTHER_METHODS) },
      ),
      target: fc
        .tuple(nearPath(document, path), nearQuery(document, parameters))
        .map(([p, q]) => p + q),
      named: fc.tuple(...headers.map((header) => maybe(0.25, nearHeader(header)))),
      others: otherHeaders,
      body: nearBody(document, operation),
    })
    .map(({ method, target, named, others, body: { headers, ...body } }) => {
      return { method, target, headers: [...headers, ...named.flat(), ...others], ...body };
    });
}

const otherHeaders = maybe(0.2, fc.constantFrom(...OTHER_HEADERS));

function nearPath(document: Document, path: string): fc.Arbitrary<string> {
  const odd = oddValue.map((value) => encodeText(value));
  const parts = path.split("/").map((part) => {
    if (part === "{id}")
      return fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(...IDS) },
        { weight: 3, arbitrary: fc.constant(KNOWN_ITEM) },
        { weight: 1, arbitrary: odd },
      );
    if (part !== "{write}") return fc.constant(part);
    const write = nearValue(document, { type: "string", format: "uuid" });
    return fc.oneof(
      fc.constant(KNOWN_WRITE),
      write.map((value) => encodeText(value)),
    );
  });
  const whole = fc.tuple(...parts).map((chosen) => chosen.join("/") || "/");
  if (!path.includes("{write}")) return whole;
  return fc.oneof(whole, fc.constant(KNOWN_RECEIPT));
}

/** Any value, encoded as a part of an address. */
function encodeText(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return encodeURIComponent(text.toWellFormed());
}

function nearQuery(document: Document, parameters: Parameter[]): fc.Arbitrary<string> {
  const pairs = parameters
    .filter((parameter) => parameter.in === "query")
    .map(({ name, schema }) => {
      const known = name === "after" ? [fc.constant(KNOWN_WRITE)] : [];
      const value = fc.oneof(nearValue(document, schema), ...known);
      return maybe(
        0.3,
        value.map((one) => `${name}=${encodeText(one)}`),
      );
    });
  const odd = maybe(0.04, fc.constantFrom("x=1", "__proto__=1", "limit=1", "%=%", "=", "wait=1"));
  return fc.tuple(...pairs, odd).map((chosen) => {
    const query = chosen.flat().join("&").replaceAll(encodeURIComponent(KNOWN_WRITE), KNOWN_WRITE);
    return query === "" ? "" : `?${query}`;
  });
}

function nearHeader({ name, schema, example }: Parameter): fc.Arbitrary<[string, string]> {
  const values: Record<string, string[]> = {
    Prefer: PREFERENCES,
    "If-Match": [`"${KNOWN_WRITE}"`, "*", `W/"${KNOWN_WRITE}"`, '"x"', `"x", "${KNOWN_WRITE}",`],
    "If-None-Match": ["*", `"${KNOWN_WRITE}"`, `W/"x", "${KNOWN_WRITE}",`],
    "If-Unmodified-Since": [
      new Date(0).toUTCString(),
      "Friday, 31-Dec-49 23:59:59 GMT",
      "Fri Dec 31 23:59:59 2100",
      "2026-03-01T09:30:00Z",
    ],
    "Idempotency-Key": ["k1", "k2", "k3", "x".repeat(255), "x".repeat(256)],
  };
  // The example of Prefer asks for a long wait.
  const good = fc.constantFrom(
    ...(values[name] ?? []),
    String(schema.const ?? (name === "Prefer" ? "" : example) ?? "x"),
  );
  return fc
    .oneof({ weight: 6, arbitrary: good }, { weight: 1, arbitrary: headerText })
    .map((value) => [name, value]);
}
