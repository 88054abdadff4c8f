import { z } from "zod";
import type { Collection } from "../../common/collection.ts";
import { PAGE_BYTES, PAGE_ITEMS, WAIT_SECONDS } from "../../common/limits.ts";

/** A piece of the OpenAPI document. */
export type Json = Record<string, unknown>;

const EXAMPLE_WRITE = "01968b3e-7c00-7000-8000-0123456789ab";
export const EXAMPLE_ITEM = "01968b3e-7bff-7000-8000-ba9876543210";

/** Look-around and back references. */
const UNKNOWN_TO_RE2 = /\(\?(?:[=!]|<[=!])|\\[1-9]/;

/**
 * A zod schema as JSON Schema, of what a client sends. Patterns that RE2 does not know are left out:
 * many validators and generators refuse a document with one.
 */
export function toJsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...body } = z.toJSONSchema(schema, {
    io: "input",
    override({ zodSchema, jsonSchema }) {
      // zod's object() drops other keys, so that `checkItem` refuses them.
      if (zodSchema._zod.def.type === "object") jsonSchema.additionalProperties ??= false;
      if (UNKNOWN_TO_RE2.test(jsonSchema.pattern ?? "")) delete jsonSchema.pattern;
    },
  }) as Json;
  return body;
}

/** A reference to one of the document's schemas. */
export function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function named(name: string): Json {
  return { $ref: `#/components/parameters/${name}` };
}

/** What every operation has; its id is unique. */
export function operation({ name }: Collection, verb: string, summary: string): Json {
  const operationId = `${verb}${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return { operationId, summary, tags: [name] };
}

/** A parameter; `place` is path, query or header. */
export function parameter(place: string, name: string, schema: Json, description?: string): Json {
  return { in: place, name, schema, ...(description ? { description } : {}) };
}

/** As ITEM_ID of common/write.ts, without look-ahead, which RE2 and many generators do not know. */
export const ID_SCHEMA = {
  type: "string",
  pattern: "^(\\.{0,2}[A-Za-z0-9_~-]|\\.{3})[A-Za-z0-9._~-]*$",
  minLength: 1,
  maxLength: 64,
  examples: [EXAMPLE_ITEM],
};
export const WRITE_SCHEMA = { type: "string", format: "uuid", examples: [EXAMPLE_WRITE] };

export const ITEM = named("id");
export const PREFER = named("prefer");
export const REQUEST_ID = named("requestId");
export const TRACEPARENT = named("traceparent");
export const IDEMPOTENCY_KEY = named("idempotencyKey");
export const IF_MATCH = named("ifMatch");
export const IF_NONE_MATCH = named("ifNoneMatch");
export const IF_UNMODIFIED_SINCE = named("ifUnmodifiedSince");
export const IF_NO_KNOWN_VERSION = named("ifNoKnownVersion");
/** Conditions on what has no ETag. */
export const IF_MATCH_ANY = named("ifMatchAny");
export const IF_NONE_MATCH_ANY = named("ifNoneMatchAny");

export const PARAMETERS = {
  id: { ...parameter("path", "id", ID_SCHEMA), required: true },
  prefer: {
    ...parameter("header", "Prefer", { type: "string" }),
    description: `\`wait=N\`, N up to ${WAIT_SECONDS} seconds; \`return=minimal\` (RFC 7240).`,
    example: "wait=5",
  },
  requestId: parameter(
    "header",
    "X-Request-Id",
    { type: "string" },
    "Identifies the request in logs and in the response.",
  ),
  traceparent: parameter("header", "traceparent", { type: "string" }, "W3C Trace Context."),
  idempotencyKey: {
    ...parameter("header", "Idempotency-Key", { type: "string", minLength: 1, maxLength: 255 }),
    description:
      "A retry with the same key and body has no further effect, as long as the item exists, and" +
      " after it was deleted, for as long as its tombstone is kept (`RECEIPT_RETENTION_DAYS`).",
    example: "7f9c3b1e",
  },
  ifMatch: {
    ...parameter("header", "If-Match", { type: "string" }),
    description:
      "The ETag that the item must have, a list of them, or `*` for any; `W/` before one is ignored. A write waits for an ETag that is that" +
      " of a write in flight. `*` names no version, so that it may miss an item whose create is in" +
      " flight: send a GET with `after` first.",
    example: `"${EXAMPLE_WRITE}"`,
  },
  ifNoneMatch: {
    ...parameter("header", "If-None-Match", { type: "string", const: "*" }),
    description:
      "The item must not exist. A DELETE then leaves a tombstone, which no older write can replace.",
  },
  ifUnmodifiedSince: {
    ...parameter("header", "If-Unmodified-Since", { type: "string" }),
    description: "The Last-Modified that the item must have. Ignored beside If-Match.",
    example: "Sat, 28 Nov 2026 09:30:00 GMT",
  },
  ifNoKnownVersion: parameter(
    "header",
    "If-None-Match",
    { type: "string" },
    "The ETags that you have, or `*` for any; 304 if the item has one of them.",
  ),
  ifMatchAny: parameter(
    "header",
    "If-Match",
    { type: "string" },
    "Only `*` matches, since this resource has no ETag; 412 for anything else.",
  ),
  ifNoneMatchAny: parameter(
    "header",
    "If-None-Match",
    { type: "string" },
    "304 for `*`. Nothing else matches, since this resource has no ETag.",
  ),
};

/** Of pages. */
export const LIMIT = parameter(
  "query",
  "limit",
  { type: "integer", minimum: 1, maximum: PAGE_ITEMS.max, default: PAGE_ITEMS.default },
  `The most items of the page, which also ends before it has more than ${PAGE_BYTES} bytes.`,
);
/** A write of an item, by its id or by the path of its receipt. */
export const AFTER_SCHEMA = { type: "string", examples: [EXAMPLE_WRITE] };
export const AFTER_RECEIPT = parameter(
  "query",
  "after",
  { type: "string" },
  "The path of a receipt. Responds only after that write is settled.",
);
