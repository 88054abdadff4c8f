import { ID_SCHEMA, type Json, ref, WRITE_SCHEMA } from "./openapi-parts.ts";

const OUTCOMES = ["applied", "superseded", "conflict", "duplicate", "dead"];
const TIME = { type: "string", format: "date-time" };

const ACCEPTED_PROPERTIES = {
  id: ID_SCHEMA,
  write: WRITE_SCHEMA,
  receipt: { type: "string", description: "The path of the receipt." },
};

const FIELD_ERROR = {
  type: "object",
  required: ["pointer", "detail"],
  properties: {
    pointer: { type: "string", format: "json-pointer" },
    detail: { type: "string" },
  },
};

const PROBLEM_PROPERTIES = {
  type: { type: "string", format: "uri" },
  title: { type: "string" },
  status: { type: "integer", minimum: 400, maximum: 599 },
  detail: { type: "string" },
  errors: { type: "array", items: FIELD_ERROR },
};

const ACCEPTED = {
  type: "object",
  required: ["id", "write", "status", "receipt"],
  properties: { ...ACCEPTED_PROPERTIES, status: { type: "string", const: "accepted" } },
};

const RESULT = {
  type: "object",
  description:
    "An accepted record has the id of its write, and its outcome where the request waited for it." +
    " A refused one is a problem.",
  required: ["status"],
  properties: {
    ...PROBLEM_PROPERTIES,
    ...ACCEPTED_PROPERTIES,
    status: { type: "integer", minimum: 200, maximum: 599 },
    outcome: { type: "string", enum: OUTCOMES },
    line: { type: "integer", minimum: 1, description: "Of NDJSON, where it is refused." },
  },
};

const RESULT_LIST = { type: "array", items: ref("write-result") };

const RESULTS = {
  type: "object",
  description: "One result for each record, in order.",
  required: ["results"],
  properties: { results: RESULT_LIST },
};

const RECEIPT = {
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
    outcome: { type: ["string", "null"], enum: [...OUTCOMES, null] },
    code: {
      type: ["string", "null"],
      description:
        "Why, as a word for programs: `not-owner`, where the item belongs to another; `expired`," +
        " where it had expired when Pub/Sub took the write;" +
        " `unknown-schema`, where only a newer release knows the write. Others may be added.",
    },
    version: orNull(WRITE_SCHEMA),
    created: {
      type: ["boolean", "null"],
      description:
        "Whether the write created the item, also after a delete, rather than replaced it." +
        " Null until it is settled, and where a release without this member settled it.",
    },
    position: {
      type: "integer",
      minimum: 0,
      description: "Of an applied write, where the collection has a feed: its place in it.",
    },
    reason: { type: ["string", "null"] },
    acceptedAt: TIME,
    settledAt: orNull(TIME),
    lagMs: { type: ["integer", "null"], minimum: 0 },
    trace: { type: ["string", "null"], pattern: "^[0-9a-f]{32}$" },
    receipt: { type: "string", description: "Its path, until the write is settled." },
  },
};

const PROBLEM = {
  type: "object",
  description: "RFC 9457",
  required: ["type", "title", "status", "detail"],
  properties: {
    ...PROBLEM_PROPERTIES,
    receipt: {
      type: "string",
      description: "The path of the receipt, where the write was accepted.",
    },
    results: {
      ...RESULT_LIST,
      description: "One result for each record, where none was accepted.",
    },
  },
};

/**
 * The schemas that all collections share. Their names have a hyphen, so that no collection has one of
 * them, and do not end in `-item` (see `describeSchemas`).
 */
export const SHARED_SCHEMAS: Json = {
  "write-accepted": ACCEPTED,
  "write-result": RESULT,
  "write-results": RESULTS,
  "write-receipt": RECEIPT,
  "problem-details": PROBLEM,
};

function orNull(schema: { type: string }): Json {
  return { ...schema, type: [schema.type, "null"] };
}
