import { z } from "zod";
import type { Collection } from "../common/collection.ts";
import { BULK_RECORDS, WAIT_SECONDS } from "../common/limits.ts";
import { ITEM_ID } from "../common/write.ts";
import { PROBLEMS, type ProblemName } from "./problem.ts";

type Json = Record<string, unknown>;

const EXAMPLE_WRITE = "01968b3e-7c00-7000-8000-0123456789ab";
const EXAMPLE_ITEM = "01968b3e-7bff-7000-8000-ba9876543210";

/** The OpenAPI 3.1 document, made from the same zod schemas that check the requests. */
export function describeApi(collections: readonly Collection[]): Json {
  const paths = collections.map((collection) => pathsOf(collection));
  const schemas = collections.map((collection) => schemasOf(collection));
  return {
    openapi: "3.1.1",
    info: {
      title: "Constancia",
      version: "1",
      summary: "A data API that gives a receipt for every write.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{}, { apiKey: [] }],
    tags: collections.map(({ name }) => ({ name })),
    paths: Object.assign({}, homePaths(), ...paths),
    components: {
      securitySchemes: { apiKey: { type: "http", scheme: "bearer" } },
      schemas: Object.assign({}, sharedSchemas(), ...schemas),
      parameters: PARAMETERS,
      responses: problemResponses(),
    },
  };
}

function schemasOf(collection: Collection): Json {
  const { $schema: _, ...body } = z.toJSONSchema(collection.schema, { io: "input" }) as Json;
  const { properties, required = [] } = body as { properties: Json; required?: string[] };
  const id = { ...ID_SCHEMA, description: "The item's id." };
  return {
    [collection.name]: body,
    [`${collection.name}-item`]: {
      ...body,
      properties: { id, ...properties },
      required: ["id", ...required],
    },
  };
}

function pathsOf(collection: Collection): Json {
  const { name, example } = collection;
  const path = `/api/${name}`;
  return {
    [path]: {
      get: {
        ...operation(collection, "list", "One page of the items, in order of creation."),
        parameters: [
          parameter("query", "limit", { type: "integer", minimum: 1, maximum: 1000, default: 50 }),
          parameter("query", "cursor", { type: "string" }, "The `next` of the page before."),
          parameter("query", "order", { enum: ["asc", "desc"], default: "asc" }),
          ...collection.filters.map((field) =>
            parameter("query", field.name, jsonSchemaOf(field.schema)),
          ),
        ],
        responses: {
          200: jsonResponse("The page.", {
            type: "object",
            required: ["data", "next"],
            properties: {
              data: { type: "array", items: ref(`${name}-item`) },
              next: { type: ["string", "null"], description: "Cursor of the next page." },
            },
          }),
          ...problems("malformed-request", "missing-key", "too-many-requests", "unavailable"),
        },
      },
      post: {
        ...operation(collection, "create", "Creates one item, or many."),
        parameters: [IDEMPOTENCY_KEY, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: requestBody(ref(name), example),
        responses: writeResponses(collection, true),
      },
      put: {
        ...operation(collection, "put", "Replaces or creates items, each named by its `id`."),
        parameters: [IF_MATCH, IF_NONE_MATCH, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: requestBody(ref(`${name}-item`), { id: EXAMPLE_ITEM, ...example }),
        responses: writeResponses(collection, true),
      },
    },
    [`${path}/{id}`]: {
      parameters: [ITEM],
      get: {
        ...operation(collection, "get", "The item."),
        parameters: [
          parameter("query", "after", WRITE_SCHEMA, "Answer only once this write is settled."),
          PREFER,
          parameter("header", "If-None-Match", { type: "string" }),
        ],
        responses: {
          200: {
            ...jsonResponse("The item.", ref(`${name}-item`)),
            headers: { ETag: HEADER, "Last-Modified": HEADER },
          },
          304: { description: "The item is at the version named." },
          ...problems("malformed-request", "missing-key", "not-found", "deleted"),
          ...problems("too-many-requests", "unavailable"),
        },
      },
      put: {
        ...operation(collection, "replace", "Replaces or creates the item."),
        parameters: [IF_MATCH, IF_NONE_MATCH, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: {
          required: true,
          content: {
            "application/json": { schema: ref(name), examples: { item: { value: example } } },
          },
        },
        responses: writeResponses(collection, false),
      },
      delete: {
        ...operation(collection, "delete", "Deletes the item; an older put cannot bring it back."),
        parameters: [IF_MATCH, PREFER, REQUEST_ID, TRACEPARENT],
        responses: writeResponses(collection, false),
      },
    },
    [`${path}/{id}/writes/{write}`]: {
      parameters: [ITEM, { ...parameter("path", "write", WRITE_SCHEMA), required: true }],
      get: {
        ...operation(collection, "receipt", "What became of a write."),
        parameters: [PREFER],
        responses: {
          200: jsonResponse("The receipt.", ref("receipt")),
          ...problems("malformed-request", "missing-key", "not-found", "too-many-requests"),
          ...problems("unavailable"),
        },
      },
    },
  };
}

function operation({ name }: Collection, verb: string, summary: string): Json {
  const operationId = `${verb}${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return { operationId, summary, tags: [name] };
}

/** One record, many in an array, or many in lines: each with its example. */
function requestBody(schema: Json, example: Json): Json {
  const many = { type: "array", minItems: 1, maxItems: BULK_RECORDS, items: schema };
  const line = JSON.stringify(example);
  return {
    required: true,
    content: {
      "application/json": {
        schema: { anyOf: [schema, many] },
        examples: { one: { value: example }, many: { value: [example, example] } },
      },
      "application/x-ndjson": {
        schema: { type: "string", description: "One JSON object a line." },
        examples: { lines: { value: `${line}\n${line}\n` } },
      },
    },
  };
}

function writeResponses({ name }: Collection, isBulk: boolean): Json {
  const bulk = ref("results");
  const item = ref(`${name}-item`);
  const headers = { Link: HEADER, "Preference-Applied": HEADER };
  const withHeaders = (response: Json) => ({ ...response, headers });
  return {
    200: withHeaders(jsonResponse("Settled; waited for.", isBulk ? { anyOf: [item, bulk] } : item)),
    201: withHeaders(jsonResponse("Settled, and new; waited for.", item)),
    202: withHeaders(
      jsonResponse(
        "Pub/Sub holds it.",
        isBulk ? { anyOf: [ref("accepted"), bulk] } : ref("accepted"),
      ),
    ),
    204: { description: "Settled, with nothing to show; waited for." },
    ...(isBulk ? { 207: jsonResponse("Some accepted, some refused.", bulk) } : {}),
    ...problems("malformed-body", "missing-key", "wrong-scope", "not-found", "conflict", "deleted"),
    ...problems("failed-precondition", "too-large", "wrong-media-type", "invalid-item"),
    ...problems("too-many-requests", "unavailable"),
  };
}

function homePaths(): Json {
  const get = (operationId: string, summary: string, responses: Json) => ({
    get: { operationId, summary, tags: [], security: [], responses },
  });
  const any = { type: "object" };
  return {
    "/": get("home", "The newest items for programs; the console page for browsers.", {
      200: jsonResponse("The newest items: id and first field of each.", {
        type: "object",
        required: ["data"],
        properties: { data: { type: "array", items: { type: "array", minItems: 2, maxItems: 2 } } },
      }),
      ...problems("unavailable"),
    }),
    "/openapi.json": get("openapi", "This document.", { 200: jsonResponse("It.", any) }),
    "/health/live": get("live", "Whether the process runs.", {
      200: jsonResponse("It does.", any),
    }),
    "/health/ready": get("ready", "Whether the tables fit the collections.", {
      200: jsonResponse("They do.", any),
      503: jsonResponse("What is missing.", any),
    }),
  };
}

function sharedSchemas(): Json {
  const accepted = {
    id: ID_SCHEMA,
    write: WRITE_SCHEMA,
    receipt: { type: "string", description: "Where the receipt is." },
  };
  const nullable = (schema: Json) => ({ ...schema, type: [schema.type, "null"] });
  const time = { type: "string", format: "date-time" };
  return {
    accepted: {
      type: "object",
      required: ["id", "write", "status", "receipt"],
      properties: { ...accepted, status: { const: "accepted" } },
    },
    results: {
      type: "object",
      required: ["results"],
      properties: {
        results: {
          type: "array",
          items: {
            type: "object",
            required: ["status"],
            properties: { status: { type: "integer" }, ...accepted },
            description: "One result per record, in order; a refused one is a problem.",
          },
        },
      },
    },
    receipt: {
      type: "object",
      required: [
        "status",
        "outcome",
        "version",
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
        reason: { type: ["string", "null"] },
        acceptedAt: time,
        settledAt: nullable(time),
        lagMs: { type: ["integer", "null"], minimum: 0 },
        trace: { type: ["string", "null"], pattern: "^[0-9a-f]{32}$" },
        receipt: { type: "string" },
      },
    },
    problem: {
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

function problemResponses(): Json {
  const names = Object.keys(PROBLEMS) as ProblemName[];
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        description: PROBLEMS[name].means,
        content: { "application/problem+json": { schema: ref("problem") } },
      },
    ]),
  );
}

function problems(...names: ProblemName[]): Json {
  return Object.fromEntries(
    names.map((name) => [PROBLEMS[name].status, { $ref: `#/components/responses/${name}` }]),
  );
}

function jsonResponse(description: string, schema: Json): Json {
  return { description, content: { "application/json": { schema } } };
}

function jsonSchemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...body } = z.toJSONSchema(schema, { io: "input" }) as Json;
  return body;
}

function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function named(name: string): Json {
  return { $ref: `#/components/parameters/${name}` };
}

function parameter(place: string, name: string, schema: Json, description?: string): Json {
  return { in: place, name, schema, ...(description ? { description } : {}) };
}

const ID_SCHEMA = { type: "string", pattern: ITEM_ID.source, examples: [EXAMPLE_ITEM] };
const WRITE_SCHEMA = { type: "string", format: "uuid", examples: [EXAMPLE_WRITE] };
const HEADER = { schema: { type: "string" } };

const ITEM = named("id");
const PREFER = named("prefer");
const REQUEST_ID = named("requestId");
const TRACEPARENT = named("traceparent");
const IDEMPOTENCY_KEY = named("idempotencyKey");
const IF_MATCH = named("ifMatch");
const IF_NONE_MATCH = named("ifNoneMatch");

const PARAMETERS = {
  id: { ...parameter("path", "id", ID_SCHEMA), required: true },
  prefer: {
    ...parameter("header", "Prefer", { type: "string" }),
    description: `\`wait=N\`, N up to ${WAIT_SECONDS} seconds; \`return=minimal\` (RFC 7240).`,
    example: "wait=5",
  },
  requestId: parameter("header", "X-Request-Id", { type: "string" }, "Stands in the logs."),
  traceparent: parameter("header", "traceparent", { type: "string" }, "W3C Trace Context."),
  idempotencyKey: {
    ...parameter("header", "Idempotency-Key", { type: "string", minLength: 1, maxLength: 255 }),
    description: "A retry with the same key and body has no second effect.",
    example: "7f9c3b1e",
  },
  ifMatch: {
    ...parameter("header", "If-Match", { type: "string" }),
    description: "The version that the item must have, as its ETag shows it, or `*`.",
    example: `"${EXAMPLE_WRITE}"`,
  },
  ifNoneMatch: {
    ...parameter("header", "If-None-Match", { const: "*" }),
    description: "The item must not exist.",
  },
};
