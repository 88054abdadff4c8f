import assert from "node:assert/strict";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { describeApi } from "../../api/routes/openapi.ts";
import type { Collection } from "../../common/collection.ts";

/**
 * Holds the answers of the APIs that the tests start to their OpenAPI document: status, media type,
 * headers, and the body with all of its members.
 */

type Json = { [member: string]: unknown };
type Response = { content?: Record<string, { schema?: Json }>; headers?: Json; $ref?: string };
type Operation = { responses: Record<string, Response> };
type Contract = { document: Json; validators: Map<string, ValidateFunction>; ajv: Ajv2020 };

/** Headers of HTTP itself, of Node, of CORS and of every answer alike, which no operation describes. */
const GENERAL_HEADERS = new Set([
  "access-control-allow-origin",
  "access-control-expose-headers",
  "cache-control",
  "connection",
  "content-length",
  "content-security-policy",
  "content-type",
  "date",
  "keep-alive",
  "referrer-policy",
  "transfer-encoding",
  "vary",
  "x-content-type-options",
]);
const FORMATS = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  "json-pointer": /^(\/([^~/]|~[01])*)*$/,
  uri: (text: string) => URL.canParse(text),
};
/** Answered by Node before the application sees a request. */
const BARE_STATUSES = new Set([400, 408, 417, 431]);

const contracts = new Map<string, Contract>();
const known = new WeakMap<readonly Collection[], Contract>();

/** From now on, answers of the API at this address are checked. */
export function addContract(url: string, collections: readonly Collection[]): void {
  let contract = known.get(collections);
  if (!contract) {
    const document = close(describeApi(collections)) as Json;
    // Unknown keywords are OpenAPI's own.
    const ajv = new Ajv2020({ strict: false, formats: FORMATS });
    ajv.addSchema(document, "document");
    contract = { document, ajv, validators: new Map() };
    known.set(collections, contract);
  }
  contracts.set(url, contract);
}

/** Throws where the answer is not as described; a request of no operation is left out. */
export function checkContract(
  url: string,
  { method, target }: { method: string; target: string },
  { status, headers, text }: { status: number; headers: Headers; text: string },
): void {
  const contract = contracts.get(url);
  const path = contract && findPath(contract.document, target);
  const name = method === "HEAD" ? "get" : method.toLowerCase();
  const operation = path && (at(contract.document, ["paths", path])[name] as Operation | undefined);
  if (!operation || (text === "" && BARE_STATUSES.has(status))) return;
  const says = `${status} of ${method} ${path}`;
  const described = operation.responses[status];
  assert.ok(described, `${says} is not described: ${text}`);
  const place = described.$ref?.split("/").slice(1) ?? [
    "paths",
    path,
    name,
    "responses",
    String(status),
  ];
  const { content = {}, headers: own = {} } = at(contract.document, place) as Response;
  const names = new Set(Object.keys(own).map((header) => header.toLowerCase()));
  for (const header of headers.keys())
    assert.ok(GENERAL_HEADERS.has(header) || names.has(header), `${says} has no header ${header}`);
  if (text === "") return;
  const type = headers.get("content-type")?.split(";")[0] ?? "";
  assert.ok(type in content, `${says} is no ${type}`);
  if (!content[type]?.schema) return;
  const validate = findValidator(contract, [...place, "content", type, "schema"]);
  const isValid = validate(JSON.parse(text));
  assert.ok(isValid, `${says}: ${contract.ajv.errorsText(validate.errors)}: ${text}`);
}

function findPath(document: Json, target: string): string | undefined {
  const parts = target.split("?", 1)[0]?.split("/") ?? [];
  return Object.keys(document.paths as Json).find((path) => {
    const segments = path.split("/");
    const fits = (segment: string, place: number) =>
      segment.startsWith("{") ? parts[place] !== "" : segment === parts[place];
    return segments.length === parts.length && segments.every(fits);
  });
}

function findValidator({ ajv, validators }: Contract, place: readonly string[]): ValidateFunction {
  const pointer = place.map((key) => key.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
  const found = validators.get(pointer);
  if (found) return found;
  const validate = ajv.compile({ $ref: `document#/${encodeURI(pointer)}` });
  validators.set(pointer, validate);
  return validate;
}

/**
 * The document with every described object closed. It leaves them open for releases to come, but an
 * answer of this one has no member that is not described.
 */
function close(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(close);
  if (typeof part !== "object" || part === null) return part;
  const closed = Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, close(value)]),
  );
  const isSchema = closed.type === "object" || "$ref" in closed;
  if (isSchema && "properties" in closed && !("additionalProperties" in closed))
    closed.unevaluatedProperties = false;
  return closed;
}

function at(document: Json, place: readonly string[]): Json {
  return place.reduce<unknown>((part, key) => (part as Json)[key], document) as Json;
}
