import { z } from "zod";
import { WAIT_SECONDS } from "../../common/limits.ts";

/** A piece of the OpenAPI document. */
export type Json = Record<string, unknown>;

const EXAMPLE_WRITE = "01968b3e-7c00-7000-8000-0123456789ab";
export const EXAMPLE_ITEM = "01968b3e-7bff-7000-8000-ba9876543210";

/**
 * The schemas that all collections share. Their names have a hyphen, so that no collection has one of
 * them, and do not end in `-item` (see `describeSchemas`).
 */
export function sharedSchemas(): Json {
  const accepted = {
    id: ID_SCHEMA,
    write: WRITE_SCHEMA,
    receipt: { type: "string", description: "The path of the receipt." },
  };
  const nullable = (schema: Json) => ({ ...schema, type: [schema.type, "null"] });
  const time = { type: "string", format: "date-time" };
  const outcomes = ["applied", "superseded", "conflict", "duplicate", "dead"];
  const results = { type: "array", items: ref("write-result") };
  const problem = {
    type: { type: "string", format: "uri" },
    title: { type: "string" },
    status: { type: "integer", minimum: 400, maximum: 599 },
    detail: { type: "string" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["pointer", "detail"],
        properties: {
          pointer: { type: "string", format: "json-pointer" },
          detail: { type: "string" },
        },
      },
    },
  };
  return {
    "write-accepted": {
      type: "object",
      required: ["id", "write", "status", "receipt"],
      properties: { ...accepted, status: { type: "string", const: "accepted" } },
    },
    "write-result": {
      type: "object",
      description:
        "An accepted record has the id of its write, and its outcome where the request waited for it." +
        " A refused one is a problem.",
      required: ["status"],
      properties: {
        ...problem,
        ...accepted,
        status: { type: "integer", minimum: 200, maximum: 599 },
        outcome: { type: "string", enum: outcomes },
        line: { type: "integer", minimum: 1, description: "Of NDJSON, where it is refused." },
      },
    },
    "write-results": {
      type: "object",
      description: "One result for each record, in order.",
      required: ["results"],
      properties: { results },
    },
    "write-receipt": {
      type: "object",
      required: [
        "status",
        "outcome",
        "code",
        "version",
        "created",
        "reason",
        "acceptedAt",
        "settledAt",
        "lagMs",
        "trace",
      ],
      properties: {
        status: { type: "string", enum: ["accepted", "settled"] },
        outcome: { type: ["string", "null"], enum: [...outcomes, null] },
        code: {
          type: ["string", "null"],
          description:
            "Why, as a word for programs: `not-owner`, where the item belongs to another;" +
            " `unknown-schema`, where only a newer release knows the write. Others may be added.",
        },
        version: nullable(WRITE_SCHEMA),
        created: {
          type: ["boolean", "null"],
          description:
            "Whether the write created the item, also after a delete, rather than replaced it." +
            " Null until it is settled, and where a release without this member settled it.",
        },
        reason: { type: ["string", "null"] },
        acceptedAt: time,
        settledAt: nullable(time),
        lagMs: { type: ["integer", "null"], minimum: 0 },
        trace: { type: ["string", "null"], pattern: "^[0-9a-f]{32}$" },
        receipt: { type: "string", description: "Its path, until the write is settled." },
      },
    },
    "problem-details": {
      type: "object",
      description: "RFC 9457",
      required: ["type", "title", "status", "detail"],
      properties: {
        ...problem,
        receipt: {
          type: "string",
          description: "The path of the receipt, where the write was accepted.",
        },
        results: {
          ...results,
          description: "One result for each record, where none was accepted.",
        },
      },
    },
  };
}

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
      "The ETag that the item must have, a list of them, or `*` for any. An ETag is waited for if it is that of a" +
      " write in flight. `*` names no version, so that it may miss an item whose create is in" +
      " flight: send a GET with `after` first.",
    example: `"${EXAMPLE_WRITE}"`,
  },
  ifNoneMatch: {
    ...parameter("header", "If-None-Match", { type: "string", const: "*" }),
    description: "The item must not exist.",
  },
  ifUnmodifiedSince: {
    ...parameter("header", "If-Unmodified-Since", { type: "string" }),
    description: "The Last-Modified that the item must have. Ignored beside If-Match.",
    example: "Sat, 28 Nov 2026 09:30:00 GMT",
  },
};
