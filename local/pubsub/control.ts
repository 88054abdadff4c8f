import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { json } from "node:stream/consumers";
import type { Broker } from "./broker.ts";
import { FAULTS, type Rates } from "./faults.ts";
import type { TokenSigner } from "./tokens.ts";

/** Short, because the key outlives a restart only with a folder. */
const CERTIFICATES_MAX_AGE_SECONDS = 60;

type Answer = { status: number; body: unknown; headers?: Record<string, string> };

/**
 * The control interface, for tests and for the supervisor, on this machine only:
 * `GET /` "Ok" once ready; `GET /certs` the keys of the push tokens; `GET /backlog` unacknowledged
 * messages by subscription; `GET /faults` rates and counts, `PUT /faults` sets some rates,
 * `DELETE /faults` ends them all.
 */
export async function startControl(options: {
  broker: Broker;
  signer: TokenSigner;
  host: string;
  port: number;
}): Promise<Server> {
  const { broker, signer, host, port } = options;
  const answers: Record<string, (request: IncomingMessage) => Answer | Promise<Answer>> = {
    "GET /": () => ({ status: 200, body: "Ok" }),
    "GET /certs": () => ({
      status: 200,
      body: signer.certificates,
      headers: { "Cache-Control": `public, max-age=${CERTIFICATES_MAX_AGE_SECONDS}` },
    }),
    "GET /backlog": () => ({ status: 200, body: describeBacklog(broker) }),
    "GET /faults": () => ({ status: 200, body: describeFaults(broker) }),
    "PUT /faults": async (request) => {
      try {
        broker.faults.set((await json(request)) as Rates);
        return { status: 200, body: describeFaults(broker) };
      } catch (error) {
        return { status: 400, body: { error: (error as Error).message } };
      }
    },
    "DELETE /faults": () => {
      broker.faults.clear();
      return { status: 200, body: describeFaults(broker) };
    },
  };
  const server = createServer(async (request, response) => {
    const answer = answers[`${request.method} ${request.url}`];
    send(response, answer ? await answer(request) : { status: 404, body: { error: "Not found." } });
  }).listen(port, host);
  await once(server, "listening");
  return server;
}

function describeFaults({ faults }: Broker) {
  return { rates: faults.rates, counts: faults.counts, known: FAULTS };
}

function describeBacklog({ resources: { subscriptions } }: Broker): Record<string, number> {
  const sizes = [...subscriptions].map(([name, { backlogSize }]) => [name, backlogSize] as const);
  return Object.fromEntries(sizes);
}

function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(`${JSON.stringify(body)}\n`);
}
