import { connect, type Socket } from "node:net";
import { wrap } from "../../test/support/pusher.ts";
import { percentile } from "../support/statistics.ts";
import type { LoadDone, LoadSpec } from "./load.ts";
import { createMint } from "./messages.ts";

/*
 * The clients, a process of their own. Each has one connection and asks again as soon as it is
 * answered. It parses just enough HTTP for answers with a Content-Length, since it shares the
 * processors with what it measures. autocannon counts latency in whole milliseconds, and sends a
 * paced load in one burst a second.
 */
const HEAD_END = "\r\n\r\n";
const LENGTH = /\r\ncontent-length: *(\d+)/i;
/** How often a paced load sends what is due. */
const PACE_MS = 2;

const stopped = Promise.withResolvers<void>();

process.on("message", (message: LoadSpec | { stop: true }) => {
  if ("stop" in message) return stopped.resolve();
  run(message).then(
    (done) => process.send?.(done, () => process.disconnect()),
    (error: Error) => {
      console.error(`The load failed: ${error.message}`);
      process.exit(1);
    },
  );
});

async function run(spec: LoadSpec): Promise<LoadDone> {
  const nextRequest = createRequests(spec);
  const latencies: number[] = [];
  const statuses: Record<number, number> = {};
  let isMeasuring = false;
  let isOver = false;
  const over = Promise.withResolvers<void>();
  const finish = () => {
    isOver = true;
    over.resolve();
  };
  let warmLeft = spec.warmRequests;
  const count = (status: number, ms: number) => {
    if (isOver) return;
    if (!isMeasuring) {
      warmLeft -= 1;
      if (warmLeft <= 0) startMeasuring();
      return;
    }
    statuses[status] = (statuses[status] ?? 0) + 1;
    latencies.push(ms);
    if (latencies.length >= spec.requests) finish();
  };
  const clients = await Promise.all(
    Array.from({ length: spec.connections }, () => openClient(spec.port, over.reject)),
  );
  const startMeasuring = () => {
    isMeasuring = true;
    process.send?.({ started: true });
    // Unreferenced, so that the process ends as soon as the window does.
    setTimeout(finish, spec.seconds * 1_000).unref();
  };
  if (warmLeft === 0) startMeasuring();
  if (spec.perSecond) pace(spec.perSecond);
  else for (const client of clients) askAgain(client);
  stopped.promise.then(finish);
  await over.promise;
  for (const { socket } of clients) socket.destroy();
  return {
    count: latencies.length,
    statuses,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };

  function askAgain(client: Client): void {
    const request = isOver ? undefined : nextRequest();
    if (!request) {
      finish();
      return;
    }
    const sentAt = performance.now();
    client.ask(request, (status) => {
      count(status, performance.now() - sentAt);
      if (!isOver) askAgain(client);
    });
  }

  /** Sends what is due, whether or not earlier ones are answered, while there is a free client. */
  function pace(perSecond: number): void {
    const free = [...clients];
    const startedAt = performance.now();
    let sent = 0;
    const timer = setInterval(() => {
      if (isOver) return clearInterval(timer);
      const due = ((performance.now() - startedAt) / 1_000) * perSecond;
      for (; sent < due && free.length > 0; sent += 1) {
        const client = free.pop() as Client;
        const dueAt = startedAt + (sent / perSecond) * 1_000;
        client.ask(nextRequest() as Buffer, (status) => {
          free.push(client);
          count(status, performance.now() - dueAt);
        });
      }
    }, PACE_MS);
  }
}

/** Returns the bytes of one request after another; undefined once there are no more. */
function createRequests({ port, what }: LoadSpec): () => Buffer | undefined {
  const encode = (method: string, path: string, body = "", headers = {}) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const length = body ? `Content-Length: ${Buffer.byteLength(body)}\r\n` : "";
    const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`;
    return Buffer.from(`${head}${lines.join("")}${length}\r\n${body}`);
  };
  if (what.kind === "same") {
    const { method, path, body, headers } = what;
    const only = encode(method, path, body, headers);
    return () => only;
  }
  if (what.kind === "paths") {
    const encoded = what.paths.map((path) => encode("GET", path));
    return () => encoded[Math.floor(Math.random() * encoded.length)];
  }
  const { path, headers, count, sampling } = what;
  const mint = createMint(sampling);
  const json = { "Content-Type": "application/json", ...headers };
  const pushes = Array.from({ length: count }, (_, index) =>
    encode("POST", path, wrap(mint.create(), `${index}`), json),
  );
  return () => pushes.pop();
}

type Client = { socket: Socket; ask(request: Buffer, onAnswer: (status: number) => void): void };

/** A connection with one request at a time. An error fails the whole load. */
async function openClient(port: number, onError: (error: Error) => void): Promise<Client> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve).once("error", reject);
  });
  let onAnswer: ((status: number) => void) | undefined;
  let received: Buffer = Buffer.alloc(0);
  socket.on("error", onError);
  socket.on("end", () => onError(new Error("the server closed a connection")));
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = received.toString("latin1", 0, headEnd);
    const status = Number(head.slice(9, 12));
    const length = LENGTH.exec(head)?.[1];
    if (length === undefined && status !== 204)
      return onError(new Error(`an answer has no Content-Length:\n${head}`));
    if (received.length < headEnd + HEAD_END.length + Number(length ?? 0)) return;
    received = Buffer.alloc(0);
    onAnswer?.(status);
  });
  return {
    socket,
    ask(request, whenAnswered) {
      onAnswer = whenAnswered;
      socket.write(request);
    },
  };
}
