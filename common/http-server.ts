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

/** What a client may take; named, so that tests can be quicker. */
export const HTTP_LIMITS = {
  /** Slow clients are cut off: headers, and a whole request with its body. */
  headersMs: 10_000,
  requestMs: 60_000,
  /** How often they are looked for; Node's default would let them stay for half a minute more. */
  checkMs: 1_000,
  /** Longer than Google's front end keeps its connections to us, so that it closes first. */
  keepAliveMs: 620_000,
  /** How long a client whose request is refused may take to read the answer and close. */
  lingerMs: 2_000,
  /** The request line and all headers; Node refuses more than a thousand of them, too. */
  headBytes: 16 * 1024,
  /**
   * More are closed at once. One costs about 17 kB, so that all take 85 MB beside the heap, and the
   * descriptors that MySQL and Pub/Sub need are left.
   */
  connections: 5_000,
};
/** How often a stopping server looks for connections that it may close. */
const CLOSE_MS = 20;

const REFUSAL = { Connection: "close", "Content-Type": "application/problem+json" };

type Refuse = (code: string) => { status: number };

/**
 * Listens on `port` (0 for any free one) of every address, or of `host` only; rejects where it is
 * taken. `refuse` words the answer to what is no request, by Node's error code; without it, Node's
 * bare status lines are sent.
 */
export async function listen(
  listener: RequestListener,
  {
    port,
    host,
    refuse,
    limits = HTTP_LIMITS,
  }: { port: number; host?: string; refuse?: Refuse; limits?: typeof HTTP_LIMITS },
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer({
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.headBytes,
    // Node's own refusal has no words.
    requireHostHeader: !refuse,
  });
  server.maxConnections = limits.connections;
  const refused = new WeakSet<Socket>();
  const answer: RequestListener = (request, response) => {
    // Node reads on: what stands behind a refused request is not done, nor answered.
    if (refused.has(request.socket)) return;
    if (!refuse || isHttp1(request)) return listener(request, response);
    refused.add(request.socket);
    const problem = refuse("");
    const body = JSON.stringify(problem);
    response
      .writeHead(problem.status, { ...REFUSAL, "Content-Length": Buffer.byteLength(body) })
      .end(body);
  };
  server.on("request", answer);
  // An expectation that nobody knows may be passed over (RFC 9110, 10.1.1); Node would say 417.
  server.on("checkExpectation", answer);
  server.on("checkContinue", (request, response) => {
    // Before its turn, Node would put it between the answer's head and its body; it may be left out.
    if (response.socket) response.writeContinue();
    answer(request, response);
  });
  if (refuse) refuseBadBytes(server, refused, { refuse, lingerMs: limits.lingerMs });
  let underWay = 0;
  const count: RequestListener = (_request, response) => {
    underWay += 1;
    response.once("close", () => {
      underWay -= 1;
    });
  };
  for (const event of ["request", "checkExpectation", "checkContinue"]) server.on(event, count);
  server.listen(port, host);
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    /** Takes no more connections; resolves when every request under way is answered. */
    async close() {
      const closed = once(server, "close");
      server.close();
      const timer = setInterval(() => {
        server.closeIdleConnections();
        // A connection without a whole head of a request is not idle to Node, nor timed any more.
        if (underWay === 0) server.closeAllConnections();
      }, CLOSE_MS);
      await closed;
      clearInterval(timer);
    },
  };
}

/** What Node lets pass, and RFC 9112 does not: versions of another kind; no host, or two. */
function isHttp1({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let place = 0; place < rawHeaders.length; place += 2)
    if (rawHeaders[place]?.length === 4 && rawHeaders[place]?.toLowerCase() === "host") hosts += 1;
  return httpVersion === "1.1" ? hosts === 1 : httpVersion === "1.0" && hosts <= 1;
}

/** What Node keeps on a connection: the answer whose turn it is, and the request that it is to. */
type Connection = Socket & { _httpMessage?: ServerResponse | null };

/** Answers what is no request, or not in time, once all that came before it is answered. */
function refuseBadBytes(
  server: Server,
  refused: WeakSet<Socket>,
  { refuse, lingerMs }: { refuse: Refuse; lingerMs: number },
): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Connection) => {
    // Each part of what comes after the first fault is another one.
    if (refused.has(socket)) return;
    refused.add(socket);
    // What came after the fault is read and thrown away: closing on bytes that were not read would
    // make the client lose the answer. One that goes on and on is not listened to for ever.
    const end = () => {
      if (!socket.writable) return void socket.destroy();
      socket.end(formatRefusal(refuse(error.code ?? "")));
      const timer = setTimeout(() => socket.destroy(), lingerMs);
      socket.resume().once("close", () => clearTimeout(timer));
    };
    const endInTurn = () => {
      const { _httpMessage: begun } = socket;
      if (!begun) return end();
      // A whole request may be accepted already, and must be told so: it is the bytes after it
      // that are refused.
      if (begun.req.complete) return void begun.once("close", endInTurn);
      // An answer that has begun cannot be taken back.
      if (begun.headersSent) return void socket.destroy();
      end();
    };
    endInTurn();
  });
}

/** A whole HTTP answer, for a socket that has no request. */
function formatRefusal(problem: { status: number }): string {
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    ...Object.entries(REFUSAL).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}
