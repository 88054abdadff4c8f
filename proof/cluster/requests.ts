import { Agent, request } from "node:http";

export type Answer = { status: number; headers: Record<string, unknown>; body: unknown };
export type Call = {
  method: string;
  url: string;
  body?: unknown;
  headers?: Record<string, string>;
};

/** Longer than the API's publish deadline with a wait after it. */
const TIMEOUT_MS = 8_000;
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** Sends one request; the status is 0 where there was no answer in time. */
export function send({ method, url, body, headers = {} }: Call): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve) => {
    const fail = () => resolve({ status: 0, headers: {}, body: undefined });
    const sending = request(url, {
      method,
      agent,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: text === undefined ? headers : { "content-type": "application/json", ...headers },
    });
    sending.on("error", fail);
    sending.on("response", (response) => {
      let received = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        received += chunk;
      });
      response.on("error", fail).on("close", fail);
      response.on("end", () => {
        const isJson = /\bjson\b/.test(response.headers["content-type"] ?? "") && received !== "";
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: isJson ? JSON.parse(received) : undefined,
        });
      });
    });
    sending.end(text);
  });
}
