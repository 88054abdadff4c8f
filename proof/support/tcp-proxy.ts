import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * A TCP proxy between the processes and a server, whose connections can be delayed, cut or silenced.
 * Several targets are used in turn, as by a load balancer.
 */
export class TcpProxy {
  /** Each chunk is delayed by this, in both directions. */
  delayMs = 0;
  /** Where a client sends a chunk with this text, its connection is silenced before it. */
  silenceAt: string | undefined;
  /** Connections that were silenced by `silenceAt`. */
  silenced = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that were opened so far. */
  opened = 0;
  #isSevered = false;

  static async open(targets: readonly number[]): Promise<TcpProxy> {
    const proxy = new TcpProxy(targets);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(targets: readonly number[]) {
    this.#server = createServer((near) => {
      if (this.#isSevered) return void near.destroy();
      this.opened += 1;
      const port = targets[this.opened % targets.length] as number;
      const far = connect({ host: "127.0.0.1", port });
      this.#forward(near, far);
      this.#forward(far, near);
    });
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Silences the connections that exist: no byte passes, and none is closed. New ones work. */
  silence(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  /** Resets every connection and refuses new ones until `restore`. */
  sever(): void {
    this.#isSevered = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  restore(): void {
    this.#isSevered = false;
    this.delayMs = 0;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #forward(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    const held: { dueMs: number; chunk: Buffer }[] = [];
    let isPumping = false;
    const pump = () => {
      const first = held[0];
      isPumping = first !== undefined;
      if (!first) return;
      const leftMs = first.dueMs - performance.now();
      if (leftMs > 0) return void setTimeout(pump, leftMs);
      held.shift();
      to.write(first.chunk);
      pump();
    };
    from.on("data", (chunk) => {
      if (this.silenceAt !== undefined && chunk.includes(this.silenceAt)) {
        this.silenced += 1;
        from.pause();
        to.pause();
        return;
      }
      if (this.delayMs === 0 && held.length === 0) return void to.write(chunk);
      held.push({ dueMs: performance.now() + this.delayMs, chunk });
      if (!isPumping) pump();
    });
    from.on("error", () => {});
    from.on("end", () => to.end());
    from.on("close", () => {
      this.#sockets.delete(from);
      // A silenced connection is not closed with the other one either.
      if (!from.isPaused()) to.destroy();
    });
  }
}
