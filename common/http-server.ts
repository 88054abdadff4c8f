import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";

/** Limits of connections and requests; an option, so that tests can be quicker. */
export const HTTP_LIMITS = {
  /** Slow clients are cut off: headers, and a whole request with its body. */
  headersMs: 10_000,
  requestMs: 60_000,
  /** How often the two are checked; Node's default of 30 s would let slow clients stay longer. */
  checkMs: 1_000,
  /** Longer than Google's front end keeps its connections to us, so that it closes first. */
  keepAliveMs: 620_000,
  /** How long a client whose request is refused has to read the answer and close. */
  lingerMs: 2_000,
  /** The request line and all headers; Node also refuses more than a thousand headers. */
  headBytes: 16 * 1024,
  /**
   * Further connections are closed at once. One costs about 17 kB, so that all take 85 MB beside
   * the heap, and enough descriptors are left for MySQL and Pub/Sub.
   */
  connections: 5_000,
  /** Requests under way; further ones, which only pipelining can send, are answered 503. */
  requests: 5_000,
};
/** How often a stopping server checks for connections to close. */
const CLOSE_MS = 20;

/** The status of what is not a request, by Node's error code; 400 for any other. */
const STATUS: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/**
 * Listens on `port` (0 for any free one) of every address, or of `host` only; rejects where the
 * port is taken.
 */
export async function listen(
  listener: RequestListener,
  {
    port,
    host,
    limits = HTTP_LIMITS,
  }: { port: number; host?: string; limits?: typeof HTTP_LIMITS },
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer({
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.headBytes,
    // Checked below: Node would answer 400, and then process the rest of the connection.
    requireHostHeader: false,
  });
  server.maxConnections = limits.connections;
  /** Connections with a refused request: what follows on them is not processed. */
  const refused = new WeakSet<Socket>();
  const pending = new PendingResponses();
  server.on("request", (request, response) => {
    if (refused.has(request.socket)) return;
    const status = isHttp1(request) ? (pending.count < limits.requests ? 200 : 503) : 400;
    pending.add(response);
    // Node's parser skips what follows a request with Upgrade, so the connection ends with its answer.
    const isLast = status !== 200 || request.headers.upgrade !== undefined;
    if (isLast) refused.add(request.socket);
    response.shouldKeepAlive &&= !isLast;
    if (status === 200) return listener(request, response);
    const retry = status === 503 ? { "Retry-After": 1 } : {};
    response.writeHead(status, { ...retry, "Content-Length": 0 }).end();
  });
  server.on("checkContinue", (request, response) => {
    // Node would write 100 into the answer before it. It is optional, so it is left out there.
    if (response.socket) response.writeContinue();
    server.emit("request", request, response);
  });
  refuseBadBytes(server, { refused, pending, lingerMs: limits.lingerMs });
  server.listen(port, host);
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    /** Accepts no more connections; resolves when every pending request is answered. */
    async close() {
      const closed = once(server, "close");
      server.close();
      const timer = setInterval(() => {
        server.closeIdleConnections();
        // To Node, a connection with part of a request is not idle, and its timeouts have stopped.
        if (pending.count === 0) server.closeAllConnections();
      }, CLOSE_MS);
      await closed;
      clearInterval(timer);
    },
  };
}

/**
 * Responses that are not finished, by connection. One Set of them all would keep most answered ones
 * in memory until the next full garbage collection, as V8's old tables point to their successors
 * (docs/decisions/2026-11-22-fewer-full-collections.md).
 */
class PendingResponses {
  readonly #bySocket = new WeakMap<Socket, ServerResponse[]>();
  count = 0;

  add(response: ServerResponse): void {
    const { socket } = response.req;
    let own = this.#bySocket.get(socket);
    if (!own) {
      own = [];
      this.#bySocket.set(socket, own);
    }
    own.push(response);
    this.count += 1;
    response.on("close", () => {
      own.splice(own.indexOf(response), 1);
      this.count -= 1;
    });
  }

  /** Those of a connection, in the order of their requests. */
  list(socket: Socket): readonly ServerResponse[] {
    return this.#bySocket.get(socket) ?? [];
  }
}

/** Checks what Node does not (RFC 9112): an HTTP/1 version, and exactly one host. */
function isHttp1({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.length === 4 && rawHeaders[index]?.toLowerCase() === "host") hosts += 1;
  return httpVersion === "1.1" ? hosts === 1 : httpVersion === "1.0" && hosts <= 1;
}

/**
 * Answers what is not a request of HTTP to this server: bytes that are none, or do not arrive in time,
 * and CONNECT. Then closes the connection. Node would answer or close at once, which the client would
 * read as the answer to a whole request before it: a write that is accepted. So the whole requests are
 * answered first.
 */
function refuseBadBytes(
  server: Server,
  options: { refused: WeakSet<Socket>; pending: PendingResponses; lingerMs: number },
): void {
  const { refused, pending, lingerMs } = options;
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) =>
    refuse(socket, STATUS[error.code ?? ""] ?? 400),
  );
  server.on("connect", (_request, socket: Socket) => {
    // Node has removed its own listener.
    socket.on("error", () => {});
    refuse(socket, 501);
  });

  function refuse(socket: Socket, status: number): void {
    // Each part of what follows the first error is another one.
    if (refused.has(socket)) return;
    refused.add(socket);
    const own = pending.list(socket);
    const whole = own.findLast(({ req }) => req.complete);
    const broken = own.find(({ req }) => !req.complete);
    const answer = () => {
      // An answer that was sent in part cannot be replaced.
      if (!socket.writable || broken?.headersSent) return void socket.destroy();
      const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}`;
      socket.end(`${head}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      // Closing while bytes are unread would make the client lose the answer, so they are read.
      const timer = setTimeout(() => socket.destroy(), lingerMs);
      socket.resume().once("close", () => clearTimeout(timer));
    };
    if (whole) whole.once("close", answer);
    else answer();
  }
}
