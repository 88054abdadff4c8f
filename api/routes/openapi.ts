import type { RequestHandler } from "express";
import type { Collection } from "../../common/collection.ts";
import {
  jsonResponse,
  problems,
  refHeaders,
  sharedHeaders,
  sharedResponses,
  withCommonParts,
} from "./openapi-answers.ts";
import {
  ID_SCHEMA,
  IF_MATCH_ANY,
  IF_NONE_MATCH_ANY,
  type Json,
  PARAMETERS,
  toJsonSchema,
} from "./openapi-parts.ts";
import { describePaths } from "./openapi-paths.ts";
import { SHARED_SCHEMAS } from "./openapi-schemas.ts";
import {
  type Callers,
  describeSecurity,
  securitySchemes,
  withSecurity,
} from "./openapi-security.ts";

/** GET of the OpenAPI document, which is written once. */
export function answerDescription(
  collections: readonly Collection[],
  callers: Callers,
): RequestHandler {
  const description = JSON.stringify(describeApi(collections, callers));
  return (_request, response) => void response.type("application/json").send(description);
}

/** The OpenAPI 3.1 document, made from the same zod schemas that check the requests. */
export function describeApi(
  collections: readonly Collection[],
  callers: Callers = { ACCESS: "public", OIDC_ISSUERS: [] },
): Json {
  const paths = collections.map((collection) =>
    withSecurity(describePaths(collection), collection, callers),
  );
  const [first] = collections as [Collection];
  const home = homePaths(describeSecurity(["read"], first, callers));
  const schemas = collections.map((collection) => describeSchemas(collection));
  return {
    openapi: "3.1.1",
    info: {
      title: "Constancia",
      version: "1",
      summary: "A data API that gives a receipt for every write.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: collections.map(({ name }) => ({ name })),
    paths: withCommonParts(Object.assign({}, home, ...paths)),
    components: {
      securitySchemes: securitySchemes(callers),
      schemas: Object.assign({}, SHARED_SCHEMAS, ...schemas),
      parameters: PARAMETERS,
      headers: sharedHeaders(),
      responses: sharedResponses(),
    },
  };
}

function describeSchemas(collection: Collection): Json {
  const body = toJsonSchema(collection.schema);
  const { properties, required = [] } = body as {
    properties: Record<string, Json>;
    required?: string[];
  };
  describeExpiry(collection, properties);
  const id = { ...ID_SCHEMA, description: "The item's id." };
  return {
    [collection.name]: body,
    [`${collection.name}-item`]: {
      ...body,
      properties: { id, ...properties },
      required: ["id", ...required, ...(collection.owner === undefined ? [] : [collection.owner])],
    },
  };
}

/** Says of the field of the expiry what it does, after what its declaration says of it. */
function describeExpiry({ expires }: Collection, properties: Record<string, Json>): void {
  const schema = expires && properties[expires.field.name];
  if (!schema) return;
  const own = schema.description ? [schema.description] : [];
  const ours = `From then on the item is gone. At most ${expires.most} ahead; that where it is left out.`;
  schema.description = [...own, ours].join(" ");
}

const READY = {
  type: "object",
  required: ["ready", "faults"],
  properties: {
    ready: { type: "boolean" },
    cause: {
      type: "string",
      enum: ["unchecked", "no-database", "schema"],
      description: "Why it is not ready.",
    },
    faults: { type: "array", items: { type: "string" }, description: "A sentence for each." },
  },
};

const NEWEST = {
  type: "object",
  required: ["data"],
  properties: { data: { type: "array", items: { type: "array", minItems: 2, maxItems: 2 } } },
};

function homePaths(security: Json[]): Json {
  const get = (operationId: string, summary: string, responses: Json) => ({
    get: {
      operationId,
      summary,
      tags: [],
      security: [],
      parameters: [IF_NONE_MATCH_ANY],
      responses,
    },
  });
  return {
    "/": {
      get: {
        operationId: "home",
        summary: "Retrieves the newest items; for browsers, the console page.",
        tags: [],
        security,
        parameters: [IF_MATCH_ANY, IF_NONE_MATCH_ANY],
        responses: {
          200: {
            description: "The newest items: the id and the first field of each.",
            headers: refHeaders(),
            content: { "application/json": { schema: NEWEST }, "text/html": {} },
          },
          ...problems("missing-key", "wrong-scope", "failed-precondition", "too-many-requests"),
          ...problems("unavailable"),
        },
      },
    },
    "/openapi.json": get("openapi", "Retrieves this document.", {
      200: jsonResponse("The OpenAPI document.", { type: "object" }),
    }),
    "/health/live": get("live", "Reports whether the process runs.", {
      200: jsonResponse("The process runs.", {
        type: "object",
        required: ["live"],
        properties: { live: { type: "boolean", const: true } },
      }),
    }),
    "/health/ready": get("ready", "Reports whether the tables match the collections.", {
      200: jsonResponse("The tables match.", READY),
      503: jsonResponse(
        "The tables do not match, or MySQL does not respond.",
        READY,
        "Retry-After",
      ),
    }),
  };
}
