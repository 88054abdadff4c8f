import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";

/** Slow clients are cut off: headers, and a whole request with its body. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than Google's front end keeps its connections to us, so that it closes first. */
const KEEP_ALIVE_TIMEOUT_MS = 620_000;
/** How often a stopping server looks for connections whose last answer has left. */
const CLOSE_IDLE_MS = 20;

/** Listens on `port` (0 for any free one); rejects where it is taken. */
export async function listen(
  listener: RequestListener,
  port: number,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    },
    listener,
  );
  server.listen(port);
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    /** Takes no more connections; resolves when every request under way is answered. */
    async close() {
      const closed = once(server, "close");
      server.close();
      const timer = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_MS);
      await closed;
      clearInterval(timer);
    },
  };
}
