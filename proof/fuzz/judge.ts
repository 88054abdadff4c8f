import type { Answer, Sent } from "../support/raw-http.ts";
import { type Document, findOperation, type Operation } from "./document.ts";
import { judgeKept } from "./kept.ts";

/** The writes that the API confirmed to clients. */
export type Confirmed = {
  /** The addresses of receipts, one for each accepted write. */
  receipts: string[];
  /** Accepted writes without an address: many records with `return=minimal`. */
  unnamed: number;
  /** Writes that were answered 503: they may have been accepted. */
  unknown: number;
};

/** Answered, but not described by the document. */
const UNDESCRIBED = new Set(["/metrics", "/_ah/warmup"]);
/** Statuses for a request that is of no operation. */
const REFUSALS = new Set([400, 401, 403, 404, 405, 413, 415, 422, 429, 431]);
const WRITES = new Set(["POST", "PUT", "DELETE"]);
/** Internals that no answer may show. */
const INTERNALS = /node_modules|\.ts:\d|\n {4}at /;

/** What is wrong with an answer, by the document and by RFC 9110 and 9457. */
export function judge(document: Document, sent: Sent, answer: Answer): string[] {
  const faults = [
    ...judgeContent(answer, sent),
    ...judgeHeaders(answer),
    ...judgeKept(sent, answer),
  ];
  const operation = findOperation(document, sent.method, sent.target);
  const path = sent.target.split("?", 1)[0] as string;
  if (UNDESCRIBED.has(path.replace(/\/$/, "")) || isEarly(answer)) return faults;
  if (answer.status >= 400) faults.push(...judgeProblem(document, answer, sent));
  if (operation) faults.push(...judgeOperation(operation, answer, sent));
  else if (!REFUSALS.has(answer.status) && !isOptions(answer, sent))
    faults.push(`${answer.status} for what the document has no operation of`);
  return faults;
}

/** The same for an answer to bytes that may not be a request. */
export function judgeBytes(document: Document, answer: Answer): string[] {
  const anything = { method: "?", target: "?", headers: [], body: undefined };
  const faults = [...judgeContent(answer, anything), ...judgeHeaders(answer)];
  if (answer.status >= 500) faults.push(`${answer.status} for bytes`);
  if (answer.status >= 400 && !isEarly(answer))
    faults.push(...judgeProblem(document, answer, anything));
  return faults;
}

function judgeOperation(operation: Operation, answer: Answer, sent: Sent): string[] {
  const { status, headers, text } = answer;
  const name = `${operation.method} ${operation.path}`;
  const response = operation.responses[status];
  if (!response) return [`${status} is not declared for ${name}`];
  const faults: string[] = [];
  const type = parseMediaType(answer);
  const isMinimal = /\breturn=minimal\b/.test(headers["preference-applied"] ?? "");
  if (sent.method !== "HEAD" && text === "" && response.mediaTypes.length > 0 && !isMinimal)
    faults.push(`${status} of ${name} has no body`);
  if (text !== "" && !response.mediaTypes.includes(type))
    faults.push(`${status} of ${name} is ${type || "of no media type"}`);
  const fault = text === "" ? undefined : response.check(type, parse(text));
  if (fault) faults.push(`${status} of ${name}: ${fault}: ${text.slice(0, 200)}`);
  const namesReceipt = Boolean(headers.link) || text.includes('"results"') || isMinimal;
  if (WRITES.has(sent.method) && status < 300 && !namesReceipt)
    faults.push(`${status} of ${name} names no receipt`);
  if (status === 200 && operation.path.endsWith("/{id}") && !headers.etag)
    faults.push(`200 of ${name} has no ETag`);
  return faults;
}

function judgeProblem(document: Document, answer: Answer, sent: Sent): string[] {
  const { status, headers, text } = answer;
  const type = parseMediaType(answer);
  const isHealth = sent.target.startsWith("/health/");
  if (isHealth && status === 503) return [];
  if (type !== "application/problem+json") return [`${status} is ${type || "of no media type"}`];
  if (sent.method === "HEAD") return [];
  const body = parse(text);
  const fault = document.checkProblem(body);
  const faults = fault ? [`${status}: ${fault}: ${text.slice(0, 200)}`] : [];
  if ((body as { status?: number } | undefined)?.status !== status)
    faults.push(`${status} says that it is another status: ${text.slice(0, 200)}`);
  if (INTERNALS.test(text)) faults.push(`${status} shows internals: ${text.slice(0, 200)}`);
  const wanted: Record<number, string> = { 401: "www-authenticate", 405: "allow" };
  const header = status === 503 || status === 429 ? "retry-after" : wanted[status];
  if (header && headers[header] === undefined) faults.push(`${status} without ${header}`);
  return faults;
}

/** What every answer has in common. */
function judgeContent({ status, headers, text }: Answer, { method }: Sent): string[] {
  const faults: string[] = [];
  if (status === 500 || status > 503)
    faults.push(`${status} is a failure of the server: ${text.slice(0, 200)}`);
  const isEmpty = status === 204 || status === 304 || method === "HEAD";
  if (isEmpty && text !== "") faults.push(`${status} to ${method} has a body`);
  if (text !== "" && /json/.test(headers["content-type"] ?? "") && parse(text) === undefined)
    faults.push(`${status} is not the JSON that it says: ${text.slice(0, 200)}`);
  return faults;
}

function judgeHeaders(answer: Answer): string[] {
  if (isEarly(answer)) return [];
  return ["x-request-id", "x-content-type-options", "content-security-policy"]
    .filter((name) => answer.headers[name] === undefined)
    .map((name) => `${answer.status} without ${name}`);
}

/** Refused by the server, before the application saw a request: a bare status. */
function isEarly({ status, headers, text }: Answer): boolean {
  if (text !== "") return false;
  return status === 417 || (headers.connection === "close" && [400, 408, 431].includes(status));
}

function isOptions({ status, headers }: Answer, { method }: Sent): boolean {
  return method === "OPTIONS" && status === 204 && Boolean(headers.allow ?? headers.vary);
}

function parseMediaType({ headers }: Answer): string {
  return (headers["content-type"] ?? "").split(";", 1)[0] as string;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The writes that this answer confirms. */
export function readConfirmed(sent: Sent, { status, headers, text }: Answer): Confirmed {
  const confirmed: Confirmed = { receipts: [], unnamed: 0, unknown: 0 };
  if (!WRITES.has(sent.method)) return confirmed;
  const [, receipt] = /<([^>]*)>; rel="status"/.exec(headers.link ?? "") ?? [];
  if (receipt !== undefined) return { ...confirmed, receipts: [receipt] };
  if (/"results":/.test(text)) {
    const { results } = JSON.parse(text) as { results: { receipt?: string; status: number }[] };
    for (const one of results)
      if (one.receipt !== undefined) confirmed.receipts.push(one.receipt);
      else if (one.status === 503) confirmed.unknown += 1;
    return confirmed;
  }
  if (status === 503) return { ...confirmed, unknown: 1 };
  return status < 300 ? { ...confirmed, unnamed: countRecords(sent) } : confirmed;
}

/** The number of records of a bulk body that was accepted as a whole. */
function countRecords({ plain = "", headers }: Sent): number {
  const type = headers.find(([name]) => name === "content-type")?.[1] ?? "";
  // As the API reads it: a byte order mark is not part of the text.
  const text = new TextDecoder().decode(Buffer.from(plain, "latin1"));
  if (/ndjson/i.test(type)) return text.split("\n").filter((line) => line.trim() !== "").length;
  return (JSON.parse(text) as unknown[]).length;
}
