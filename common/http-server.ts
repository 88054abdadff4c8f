import { once } from "node:events";
import { createServer, type RequestListener, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";

/** Slow clients are cut off: headers, and a whole request with its body. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than Google's front end keeps its connections to us, so that it closes first. */
const KEEP_ALIVE_TIMEOUT_MS = 620_000;
/** How long a client whose request is refused may take to read the answer and close. */
const LINGER_MS = 2_000;
/** How often a stopping server looks for connections that it may close. */
const CLOSE_MS = 20;

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
  }: { port: number; host?: string; refuse?: (code: string) => { status: number } },
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    },
    listener,
  );
  if (refuse)
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      // An answer that has begun cannot be taken back.
      const { _httpMessage: begun } = socket as { _httpMessage?: { headersSent: boolean } };
      if (!socket.writable || begun?.headersSent) return void socket.destroy();
      socket.end(formatRefusal(refuse(error.code ?? "")));
      // Closing on bytes that were not read would make the client lose the answer.
      socket.resume().setTimeout(LINGER_MS, () => socket.destroy());
    });
  let underWay = 0;
  server.on("request", (_request, response) => {
    underWay += 1;
    response.once("close", () => {
      underWay -= 1;
    });
  });
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

/** A whole HTTP answer, for a socket that has no request. */
function formatRefusal(problem: { status: number }): string {
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    "Connection: close",
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}
