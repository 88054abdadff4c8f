import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { startAccounting } from "../support/process-usage.ts";

/** What the clients do; they are a process of their own. */
export type LoadSpec = {
  port: number;
  connections: number;
  /** The window opens after so many answers. */
  warmRequests: number;
  /** The window ends after so many seconds or requests, whichever is first. */
  seconds: number;
  requests: number;
  what: LoadRequests;
  /** A steady rate; without it, each client asks again as soon as it is answered. */
  perSecond?: number;
};

export type LoadRequests =
  | {
      kind: "same";
      method: string;
      path: string;
      body: string;
      headers: Record<string, string>;
    }
  /** GETs of these, at random. */
  | { kind: "paths"; paths: string[] }
  /** Pushes of so many writes, each once. */
  | {
      kind: "pushes";
      path: string;
      headers: Record<string, string>;
      count: number;
      sampling: string;
    };

export type LoadDone = {
  count: number;
  statuses: Record<number, number>;
  p50Ms: number;
  p99Ms: number;
};

/** One POST of one item. */
export const POST_ITEM: Extract<LoadRequests, { kind: "same" }> = {
  kind: "same",
  method: "POST",
  path: "/api/data",
  body: JSON.stringify({ nombre: "Valpo" }),
  headers: { "Content-Type": "application/json" },
};

const WARM_CONNECTIONS = 64;
/** Much longer than a warm-up takes. */
const WARM_SECONDS = 120;

/** Has a process answer `count` requests, so that V8 has compiled its code before it is measured. */
export async function warmUp(port: number, what: LoadRequests, count: number): Promise<void> {
  const end = { seconds: WARM_SECONDS, requests: count };
  await runLoad({ port, connections: WARM_CONNECTIONS, warmRequests: 0, ...end, what }, {});
}

/**
 * Runs the clients and returns the figures of the window. Processor time is that of the window,
 * for each record; a request has `recordsPerRequest`. The window also ends when `until`, called
 * when it opens, resolves. Throws where an answer was not 2xx.
 */
export async function runLoad(
  spec: LoadSpec,
  pids: Record<string, number | undefined>,
  {
    recordsPerRequest = 1,
    until,
  }: { recordsPerRequest?: number; until?: () => Promise<unknown> } = {},
): Promise<Record<string, number>> {
  const child = fork(join(import.meta.dirname, "load-process.ts"));
  let account: ReturnType<typeof startAccounting> | undefined;
  let done: LoadDone | undefined;
  let failure: unknown;
  let values: Record<string, number> = {};
  child.on("message", (message: { started: true } | LoadDone) => {
    if ("started" in message) {
      account = startAccounting({ ...pids, load: child.pid });
      const end = () => child.connected && child.send({ stop: true });
      until?.()
        .catch((error: unknown) => {
          failure = error;
        })
        .then(end);
      return;
    }
    const { count, p50Ms, p99Ms } = message;
    done = message;
    values = { ...account?.(() => count * recordsPerRequest), p50Ms, p99Ms };
  });
  child.send(spec);
  await once(child, "exit");
  if (failure) throw failure;
  const statuses = Object.keys(done?.statuses ?? {});
  if (statuses.length === 0 || statuses.some((status) => !status.startsWith("2")))
    throw new Error(`the load was not answered as expected: ${JSON.stringify(done?.statuses)}`);
  return values;
}
