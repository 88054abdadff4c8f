import { Ajv2020 } from "ajv/dist/2020.js";

/** A piece of the OpenAPI document that the API serves. */
export type Json = { [member: string]: unknown };

export type Parameter = { in: string; name: string; schema: Json; example?: string };

/** A method of a path: what it takes, and what it may answer. */
export type Operation = {
  method: string;
  path: string;
  parameters: Parameter[];
  /** By media type. */
  bodies: Record<string, Json>;
  /** By status. */
  responses: Record<string, Response>;
};

type Response = {
  /** Whether a body is declared, and of which media types. */
  mediaTypes: string[];
  /** What is wrong with a body of this media type, if anything. */
  check(mediaType: string, body: unknown): string | undefined;
};

export type Document = {
  operations: Operation[];
  /** A schema with its reference followed, if it is one. */
  resolve(schema: Json): Json;
  /** What is wrong with a problem's body, if anything. */
  checkProblem(body: unknown): string | undefined;
};

const METHODS = ["get", "put", "post", "delete"];
const FORMATS = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  "json-pointer": /^(\/([^~/]|~[01])*)*$/,
  uri: (text: string) => URL.canParse(text),
};

/** Reads what `GET /openapi.json` answers. */
export function readDocument(document: Json): Document {
  // Formats are checked here; unknown keywords are OpenAPI's own.
  const ajv = new Ajv2020({ strict: false, formats: FORMATS });
  ajv.addSchema(document, "document");

  const compileCheck = (place: string[]) => {
    const pointer = place.map((key) => key.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
    const validate = ajv.compile({ $ref: `document#/${encodeURI(pointer)}` });
    return (body: unknown) => (validate(body) ? undefined : ajv.errorsText(validate.errors));
  };

  const readResponse = (place: string[]): Response => {
    const { $ref } = at(document, place);
    const real = typeof $ref === "string" ? $ref.split("/").slice(1) : place;
    const content = (at(document, real).content ?? {}) as Record<string, { schema?: Json }>;
    const checks = Object.fromEntries(
      Object.entries(content).flatMap(([type, { schema }]) =>
        schema ? [[type, compileCheck([...real, "content", type, "schema"])]] : [],
      ),
    );
    return {
      mediaTypes: Object.keys(content),
      check: (mediaType, body) => checks[mediaType]?.(body),
    };
  };

  const resolve = (schema: Json): Json =>
    typeof schema.$ref === "string" ? at(document, schema.$ref.split("/").slice(1)) : schema;

  const readOperation = (path: string, method: string): Operation[] => {
    const item = at(document, ["paths", path]);
    const operation = item[method] as Json | undefined;
    if (!operation) return [];
    const parameters = [item.parameters, operation.parameters]
      .flatMap((list) => (list ?? []) as Json[])
      .map((parameter) => resolve(parameter) as unknown as Parameter);
    const body = operation.requestBody as { content: Record<string, { schema: Json }> } | undefined;
    const statuses = Object.keys(operation.responses as Json);
    return [
      {
        method: method.toUpperCase(),
        path,
        parameters,
        bodies: Object.fromEntries(
          Object.entries(body?.content ?? {}).map(([type, { schema }]) => [type, schema]),
        ),
        responses: Object.fromEntries(
          statuses.map((status) => [
            status,
            readResponse(["paths", path, method, "responses", status]),
          ]),
        ),
      },
    ];
  };

  return {
    operations: Object.keys(document.paths as Json).flatMap((path) =>
      METHODS.flatMap((method) => readOperation(path, method)),
    ),
    resolve,
    checkProblem: compileCheck(["components", "schemas", "problem-details"]),
  };
}

/** The operation of a request line (GET for HEAD), if there is one. */
export function findOperation(
  { operations }: Document,
  method: string,
  target: string,
): Operation | undefined {
  const path = target.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1)[0] as string;
  const segments = path
    .replace(/(.)\/$/, "$1")
    .split("/")
    .map(decode);
  const asked = method === "HEAD" ? "GET" : method;
  return operations.find((operation) => {
    const parts = operation.path.split("/");
    const fits = (part: string, place: number) =>
      part.startsWith("{") ? segments[place] !== "" : part === segments[place];
    return operation.method === asked && parts.length === segments.length && parts.every(fits);
  });
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // The address is refused anyway; its operation is the one that it looks like.
    return segment;
  }
}

function at(document: Json, place: readonly string[]): Json {
  return place.reduce<unknown>((part, key) => (part as Json)[key], document) as Json;
}
