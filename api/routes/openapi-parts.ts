import { z } from "zod";
import { WAIT_SECONDS } from "../../common/limits.ts";
import { ITEM_ID } from "../../common/write.ts";
import { PROBLEMS, type ProblemName } from "../answer/problem.ts";

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
  return {
    "write-accepted": {
      type: "object",
      required: ["id", "write", "status", "receipt"],
      properties: { ...accepted, status: { const: "accepted" } },
    },
    "write-results": {
      type: "object",
      required: ["results"],
      properties: {
        results: {
          type: "array",
          items: {
            type: "object",
            required: ["status"],
            properties: { status: { type: "integer" }, ...accepted },
            description:
              "One result for each record, in order. The result of a refused record is a problem.",
          },
        },
      },
    },
    "write-receipt": {
      type: "object",
      required: [
        "status",
        "outcome",
        "version",
        "created",
        "reason",
        "acceptedAt",
        "settledAt",
        "lagMs",
        "trace",
      ],
      properties: {
        status: { enum: ["accepted", "settled"] },
        outcome: { enum: ["applied", "superseded", "conflict", "duplicate", "dead", null] },
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
        receipt: { type: "string" },
      },
    },
    "problem-details": {
      type: "object",
      description: "RFC 9457",
      required: ["type", "title", "status", "detail"],
      properties: {
        type: { type: "string", format: "uri" },
        title: { type: "string" },
        status: { type: "integer" },
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
      },
    },
  };
}

/** One response for each problem, by its name. */
export function problemResponses(): Json {
  const names = Object.keys(PROBLEMS) as ProblemName[];
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        description: PROBLEMS[name].means,
        content: { "application/problem+json": { schema: ref("problem-details") } },
      },
    ]),
  );
}

/** References to these problems' responses, by their status. */
export function problems(...names: ProblemName[]): Json {
  return Object.fromEntries(
    names.map((name) => [PROBLEMS[name].status, { $ref: `#/components/responses/${name}` }]),
  );
}

/**
 * Adds what any operation may answer: 400 for a malformed request, 408 and 431 by Node itself, and
 * 304 to a GET with `If-None-Match: *` (RFC 9110, 13.1.2).
 */
export function withCommonResponses(paths: Record<string, Json>): Json {
  const refusals = {
    ...problems("malformed-request"),
    408: { description: "The request did not arrive in time." },
    431: { description: "The headers are too large." },
  };
  const unchanged = { 304: { description: "`If-None-Match` is `*`, and the resource exists." } };
  for (const item of Object.values(paths))
    for (const [method, operation] of Object.entries(item) as [string, { responses?: Json }][])
      if (operation.responses)
        operation.responses = {
          ...refusals,
          ...(method === "get" ? unchanged : {}),
          ...operation.responses,
        };
  return paths;
}

/** A response of JSON. */
export function jsonResponse(description: string, schema: Json): Json {
  return { description, content: { "application/json": { schema } } };
}

/** A zod schema as JSON Schema, of what a client sends. */
export function toJsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...body } = z.toJSONSchema(schema, { io: "input" }) as Json;
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

export const ID_SCHEMA = { type: "string", pattern: ITEM_ID.source, examples: [EXAMPLE_ITEM] };
export const WRITE_SCHEMA = { type: "string", format: "uuid", examples: [EXAMPLE_WRITE] };
export const HEADER = { schema: { type: "string" } };

export const ITEM = named("id");
export const PREFER = named("prefer");
export const REQUEST_ID = named("requestId");
export const TRACEPARENT = named("traceparent");
export const IDEMPOTENCY_KEY = named("idempotencyKey");
export const IF_MATCH = named("ifMatch");
export const IF_NONE_MATCH = named("ifNoneMatch");

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
      "The ETag that the item must have, or `*` for any. An ETag is waited for if it is that of a" +
      " write in flight. `*` names no version, so that it may miss an item whose create is in" +
      " flight: send a GET with `after` first.",
    example: `"${EXAMPLE_WRITE}"`,
  },
  ifNoneMatch: {
    ...parameter("header", "If-None-Match", { const: "*" }),
    description: "The item must not exist.",
  },
};
