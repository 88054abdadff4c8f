import { appendFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";

/** What the stand-in answers instead of what is right, by `METHOD` or `METHOD waited`. */
export type WrongAnswers = Record<string, number | "nothing">;

/**
 * Stands for one version of the API at its own address, as far as a rollout asks it, and notes
 * each request where the stand-in for gcloud finds it. What the real one answers is tested with
 * the real one (rollout/real-api.test.ts).
 */
export async function startStandInApi(requestLog: string) {
  let wrong: WrongAnswers = {};
  let made = 0;
  const items = new Map<string, { id: string; version: string } | undefined>();
  const server = createServer((request, response) => {
    const { status, body, version } = answer(request);
    const isWrite = request.method === "POST" || request.method === "DELETE";
    appendFileSync(requestLog, `${JSON.stringify({ time: Date.now(), status, isWrite })}\n`);
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
    /** Items that were made and not deleted. */
    left: () => [...items.values()].filter((item) => item !== undefined).length,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };

  function answer({ method = "", url = "", headers }: IncomingMessage) {
    const isWaiting = headers.prefer !== undefined;
    const replaced = wrong[isWaiting ? `${method} waited` : method] ?? wrong[`${method} ${url}`];
    if (replaced === "nothing") return { status: 0 };
    if (replaced !== undefined)
      return { status: replaced, body: { detail: "The stand-in was told to." } };
    const [, , , id = "", , write] = url.split("/");
    if (url === "/health/ready") return { status: 200, body: { ready: true } };
    made += 1;
    const version = `version-${made}`;
    if (method === "POST") {
      const item = { id: `item-${made}`, version };
      items.set(item.id, item);
      const receipt = `${url}/${item.id}/writes/${version}`;
      return isWaiting
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
