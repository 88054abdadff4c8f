import { Agent, request } from "node:http";

export type Answer = { status: number; headers: Record<string, unknown>; body: unknown };
export type Call = {
  method: string;
  url: string;
  body?: unknown;
  headers?: Record<string, string>;
};

/** Longer than the API takes to give up publishing, and than a wait with it. */
const TIMEOUT_MS = 8_000;
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** One request; status 0 where no answer came, or not in time. */
export function send({ method, url, body, headers = {} }: Call): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve) => {
    const fail = () => resolve({ status: 0, headers: {}, body: undefined });
    const sending = request(url, {
      ...{ method, agent, signal: AbortSignal.timeout(TIMEOUT_MS) },
      headers: {
        ...(text === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
    sending.on("error", fail);
    sending.on("response", (response) => {
      let said = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        said += chunk;
      });
      response.on("error", fail).on("close", fail);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: /\bjson\b/.test(response.headers["content-type"] ?? "") ? parse(said) : undefined,
        }),
      );
    });
    sending.end(text);
  });
}

function parse(text: string): unknown {
  return text === "" ? undefined : JSON.parse(text);
}
