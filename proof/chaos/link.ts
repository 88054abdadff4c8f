import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * A piece of network between the processes and a server: passes bytes on, and can be slow or cut.
 * Several targets take turns, as behind a load balancer.
 */
export class Link {
  /** What each chunk is held back, both ways. */
  delayMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isSevered = false;
  #turn = 0;

  static async open(targets: readonly number[]): Promise<Link> {
    const link = new Link(targets);
    link.#server.listen(0, "127.0.0.1");
    await once(link.#server, "listening");
    return link;
  }

  private constructor(targets: readonly number[]) {
    this.#server = createServer((near) => {
      if (this.#isSevered) return void near.destroy();
      this.#turn += 1;
      const port = targets[this.#turn % targets.length] as number;
      const far = connect({ host: "127.0.0.1", port });
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Resets every connection, and takes no new one until `restore`. */
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

  #join(from: Socket, to: Socket): void {
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
      if (this.delayMs === 0 && held.length === 0) return void to.write(chunk);
      held.push({ dueMs: performance.now() + this.delayMs, chunk });
      if (!isPumping) pump();
    });
    from.on("error", () => {});
    from.on("end", () => to.end());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
