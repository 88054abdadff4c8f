import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text as readText } from "node:stream/consumers";
import type { LoggedRequest } from "./stand-in-application.ts";

/** The statuses to answer instead of the correct ones, by `ready`, `METHOD` or `METHOD waited`. */
export type WrongAnswers = Record<string, number | "nothing">;

const EXAMPLE = { examples: { one: { value: { nombre: "Valpo" } } } };
const DESCRIPTION = {
  paths: {
    "/": { get: {} },
    "/api/data": { post: { requestBody: { content: { "application/json": EXAMPLE } } } },
  },
};

/**
 * Stands in for one version of the API, as far as a rollout calls it, and adds each request to
 * `requestLog`. With the address of a real API it only forwards and logs
 * (test/deploy/rollout.test.ts).
 */
export async function startStandInApi(requestLog: LoggedRequest[], real?: string) {
  let wrong: WrongAnswers = {};
  let made = 0;
  const items = new Map<string, { id: string; version: string } | undefined>();
  const server = createServer(async (request, response) => {
    if (real !== undefined) return void forward(request, response, real);
    const { status, body, version } = answer(request);
    logRequest(request, status);
    if (status === 0) return void request.socket.destroy();
    if (version) response.setHeader("ETag", `"${version}"`);
    response.statusCode = status;
    response.end(body && JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    answerWrongly(answers: WrongAnswers) {
      wrong = answers;
    },
    /** The number of items that were created and not deleted. */
    left: () => [...items.values()].filter((item) => item !== undefined).length,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };

  function logRequest({ method }: IncomingMessage, status: number): void {
    const isWrite = method === "POST" || method === "DELETE";
    requestLog.push({ time: Date.now(), status, isWrite });
  }

  async function forward(request: IncomingMessage, response: ServerResponse, to: string) {
    const { host: _, connection: __, ...headers } = request.headers as Record<string, string>;
    const { method = "", url } = request;
    const body = method === "GET" ? null : await readText(request);
    const real = await fetch(to + url, { method, headers, body: body || null });
    const answered = Buffer.from(await real.arrayBuffer());
    logRequest(request, real.status);
    response.writeHead(real.status, { ETag: real.headers.get("etag") ?? "" }).end(answered);
  }

  function answer({ method = "", url = "", headers }: IncomingMessage) {
    if (url === "/health/ready")
      return { status: Number(wrong.ready ?? 200), body: { ready: wrong.ready === undefined } };
    if (url === "/openapi.json") return { status: 200, body: DESCRIPTION };
    const isWaiting = headers.prefer !== undefined;
    const replaced = wrong[isWaiting ? `${method} waited` : method];
    if (replaced === "nothing") return { status: 0 };
    if (replaced !== undefined && replaced !== 202)
      return { status: replaced, body: { detail: "The test says so." } };
    const [, , , id = "", , write] = url.split("/");
    made += 1;
    const version = `version-${made}`;
    if (method === "POST") {
      const item = { id: `item-${made}`, version };
      items.set(item.id, item);
      const receipt = `${url}/${item.id}/writes/${version}`;
      return isWaiting && replaced !== 202
        ? { status: 201, body: item, version }
        : { status: 202, body: { id: item.id, receipt } };
    }
    const outcome = wrong.receipt === 0 ? "dead" : "applied";
    if (write) return { status: 200, body: { status: "settled", outcome } };
    const item = items.get(id);
    if (!item) return { status: 410, body: { detail: "The item was deleted." } };
    if (method === "GET") return { status: 200, body: item, version: item.version };
    if (method === "DELETE") {
      items.set(id, undefined);
      return { status: isWaiting ? 204 : 202 };
    }
    if (headers["if-match"] !== `"${item.version}"`) return { status: 412 };
    items.set(id, { id, version });
    return { status: 200, body: item, version };
  }
}
