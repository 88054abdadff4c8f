import { ANSWER_HEADERS, type AnswerHeader } from "../answer/headers.ts";
import { formatProblemType, PROBLEMS, type ProblemName } from "../answer/problem.ts";
import { type Json, REQUEST_ID, ref, TRACEPARENT } from "./openapi-parts.ts";

/** Headers that any answer of the collections may have. */
const COMMON: AnswerHeader[] = ["X-Request-Id", "RateLimit", "RateLimit-Policy"];
/** Headers of an answer to a write that was accepted. */
export const WRITE_HEADERS: AnswerHeader[] = ["Link", "Preference-Applied"];
export const CREATE_HEADERS: AnswerHeader[] = [...WRITE_HEADERS, "Location"];

/** The problems of one status, which an operation may answer with; and their headers. */
const GROUPS = {
  malformed: { names: ["malformed-request"] },
  "malformed-write": { names: ["malformed-request", "malformed-body"] },
  "missing-key": { names: ["missing-key"], headers: ["WWW-Authenticate"] },
  "wrong-scope": { names: ["wrong-scope"], headers: ["WWW-Authenticate"] },
  // Of a collection whose items have owners.
  "not-owner": {
    names: ["wrong-scope", "not-owner"],
    headers: [...CREATE_HEADERS, "WWW-Authenticate"],
  },
  "not-found": { names: ["not-found"] },
  "no-item": { names: ["not-found"], headers: WRITE_HEADERS },
  conflict: { names: ["conflict"], headers: CREATE_HEADERS },
  deleted: { names: ["deleted"], headers: CREATE_HEADERS },
  "lost-place": { names: ["lost-place"] },
  "failed-precondition": { names: ["failed-precondition"], headers: WRITE_HEADERS },
  "too-large": { names: ["too-large"] },
  "wrong-media-type": {
    names: ["wrong-media-type"],
    headers: ["Accept", "Accept-Encoding", "Accept-Post"],
  },
  invalid: { names: ["invalid-item", "reused-key", "dead-write"], headers: CREATE_HEADERS },
  "too-many-requests": { names: ["too-many-requests"], headers: ["Retry-After"] },
  internal: { names: ["internal"] },
  unavailable: { names: ["unavailable"], headers: ["Retry-After"] },
} satisfies Record<string, { names: ProblemName[]; headers?: AnswerHeader[] }>;

type Group = keyof typeof GROUPS;

/** The headers that the responses refer to. */
export function sharedHeaders(): Json {
  const names = Object.entries(ANSWER_HEADERS);
  return Object.fromEntries(
    names.map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

/** References to the descriptions of these headers, and of those that any answer may have. */
export function refHeaders(...names: AnswerHeader[]): Json {
  const all = new Set([...COMMON, ...names]);
  return Object.fromEntries(
    [...all].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** The response of each group of problems, by its name. */
export function sharedResponses(): Json {
  return Object.fromEntries(
    Object.entries(GROUPS).map(([group, { names, ...more }]) => {
      const headers: AnswerHeader[] = "headers" in more ? more.headers : [];
      const types = names.map((name) => formatProblemType(name));
      const schema = { ...ref("problem-details"), properties: { type: { enum: types } } };
      return [
        group,
        {
          description: names.map((name) => PROBLEMS[name].means).join(" Or: "),
          headers: refHeaders("Preference-Applied", ...headers),
          content: { "application/problem+json": { schema } },
        },
      ];
    }),
  );
}

/** References to the responses of these groups, by their status. */
export function problems(...groups: Group[]): Json {
  return Object.fromEntries(
    groups.map((group) => [
      PROBLEMS[GROUPS[group].names[0] as ProblemName].status,
      { $ref: `#/components/responses/${group}` },
    ]),
  );
}

/**
 * Adds the parameters that any operation reads, and what it may answer: 400 for a malformed request, 500,
 * 408, 417 and 431 by Node itself, and to a GET 304 for `If-None-Match: *` (RFC 9110, 13.1.2).
 */
export function withCommonParts(paths: Record<string, Json>): Json {
  const refusals = {
    ...problems("malformed", "internal"),
    408: { description: "The request did not arrive in time." },
    417: { description: "`Expect` is not `100-continue`." },
    431: { description: "The headers are too large." },
  };
  const unchanged = { 304: { description: "`If-None-Match` is `*`." } };
  for (const item of Object.values(paths)) {
    item.parameters = [...((item.parameters as Json[]) ?? []), REQUEST_ID, TRACEPARENT];
    for (const [method, operation] of Object.entries(item) as [string, { responses?: Json }][])
      if (operation.responses)
        operation.responses = addHeaders({
          ...refusals,
          ...(method === "get" ? unchanged : {}),
          ...operation.responses,
        });
  }
  return paths;
}

/** Adds the common headers to the responses that are no references. */
function addHeaders(responses: Json): Json {
  return Object.fromEntries(
    Object.entries(responses as Record<string, Json>).map(([status, response]) => [
      status,
      "$ref" in response
        ? response
        : { ...response, headers: { ...refHeaders(), ...(response.headers as Json) } },
    ]),
  );
}

/** A response of JSON. */
export function jsonResponse(description: string, schema: Json, ...headers: AnswerHeader[]): Json {
  return {
    description,
    headers: refHeaders(...headers),
    content: { "application/json": { schema } },
  };
}
