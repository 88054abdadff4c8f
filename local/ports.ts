import { once } from "node:events";
import { createServer } from "node:net";
import type { Say } from "./processes.ts";

/** How many ports are tried before giving up. */
const MAX_STEPS = 100;

/**
 * Finds free ports, steps over taken ones and says so. Nothing holds a port that is found, so it is
 * found right before it is used. Until then, a `kept` port is given to none that asks for another.
 */
export class PortFinder {
  readonly #say: Say;
  readonly #kept: readonly number[];
  readonly #given = new Set<number>();

  constructor(say: Say, kept: readonly number[] = []) {
    this.#say = say;
    this.#kept = kept;
  }

  /** The wanted port, or the next free one above it. */
  async find(wanted: number, purpose: string): Promise<number> {
    for (let port = wanted; port < wanted + MAX_STEPS && port < 65_536; port++) {
      if (port !== wanted && this.#kept.includes(port)) continue;
      if (this.#given.has(port) || !(await isFree(port))) continue;
      if (port !== wanted) this.#say(`port ${wanted} is taken; using ${port} for ${purpose}`);
      this.#given.add(port);
      return port;
    }
    throw new Error(`no port from ${wanted} on is free for ${purpose}; end what listens there`);
  }
}

/** Any free port, as the system chooses. */
export async function findAnyPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await close(server);
  return port;
}

/** Some listen on all addresses, some only on this machine's own: both must be free. */
async function isFree(port: number): Promise<boolean> {
  for (const host of [undefined, "127.0.0.1"]) {
    const server = createServer().listen(port, host);
    try {
      await once(server, "listening");
    } catch {
      return false;
    }
    await close(server);
  }
  return true;
}

async function close(server: ReturnType<typeof createServer>): Promise<void> {
  server.close();
  await once(server, "close");
}
