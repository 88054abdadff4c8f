import { parseJson } from "../../common/json.ts";
import { Failure } from "./failure.ts";
import { REQUEST_TIMEOUT_MS } from "./slo.ts";

export type Answer = { status: number; headers: Headers; body: Record<string, unknown> };

/** Sends one request to the API. */
export type Api = (
  method: string,
  path: string,
  options?: { item?: unknown; headers?: Record<string, string> },
) => Promise<Answer>;

/** Creates an {@link Api}; `key` is an API key, if the API requires one. */
export function createApi(options: {
  url: string;
  key: string | undefined;
  stop: AbortSignal;
}): Api {
  const { url, key, stop } = options;
  const authorization: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
  return async (method, path, { item, headers = {} } = {}) => {
    const type: Record<string, string> = item ? { "content-type": "application/json" } : {};
    try {
      const response = await fetch(url + path, {
        method,
        headers: { "user-agent": "constancia-rollout", ...authorization, ...type, ...headers },
        body: item ? JSON.stringify(item) : null,
        redirect: "manual",
        signal: AbortSignal.any([stop, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: parseBody(text) };
    } catch (error) {
      stop.throwIfAborted();
      const { name, cause } = error as { name: string; cause?: { code?: string } };
      throw new Failure(`${method} ${url}${path} got no response (${cause?.code ?? name}).`);
    }
  };
}

/** What to do about an answer that says that a key is missing, as a sentence with a space before it. */
export function describeKeyAdvice(status: number): string {
  return status === 401 || status === 403
    ? " Set CONSTANCIA_API_KEY to an API key with the scopes *:read and *:write."
    : "";
}

/** The version in the ETag of a response. */
export function readEtag({ headers }: Answer): string {
  return (headers.get("etag") ?? "").replaceAll('"', "");
}

function parseBody(text: string): Record<string, unknown> {
  try {
    const body = parseJson(text);
    return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
