import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SMUGGLING } from "./smuggling.ts";

/** What a hostile client does with its connection. */
type Behavior = (socket: Socket) => void;

/** How often a slow client sends a byte or a line: too often for an idle timeout. */
const DRIP_MS = 500;
/** Requests in one write. */
const PIPELINED = 100;
/** A client that was disconnected reconnects after this. */
const RECONNECT_MS = 1_000;
/** Clients that connect at once: a listener's backlog is short. */
const CONNECT_TOGETHER = 100;

const HOST = "Host: x\r\n";
const LIST = `GET /api/data?limit=1000 HTTP/1.1\r\n${HOST}\r\n`;
const POST = `POST /api/data HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;

/** Kinds of hostile clients, what they do, and how many there are by default. */
export const CROWD: Record<string, { clients: number; behave: Behavior }> = {
  /** Say nothing. */
  idle: { clients: 3_000, behave: () => {} },
  /** One request, and then nothing. */
  parked: {
    clients: 500,
    behave: (socket) => void socket.write(`GET /health/live HTTP/1.1\r\n${HOST}\r\n`),
  },
  slowHead: {
    clients: 200,
    behave: (socket) => drip(socket, `GET / HTTP/1.1\r\n${HOST}`, "X: y\r\n"),
  },
  slowBody: {
    clients: 200,
    behave: (socket) => drip(socket, `${POST}Content-Length: 100000\r\n\r\n`, "x"),
  },
  halfClosed: {
    clients: 50,
    behave: (socket) => void socket.end(`${POST}Content-Length: 100\r\n\r\n{`),
  },
  /** Request a lot at once, and read no answer. */
  deaf: {
    clients: 20,
    behave: (socket) => void socket.pause().write(LIST.repeat(PIPELINED)),
  },
  largeHead: {
    clients: 20,
    behave: (socket) => void socket.write(`GET / HTTP/1.1\r\n${HOST}X: ${"x".repeat(60_000)}`),
  },
  smuggler: {
    clients: 20,
    behave: (socket) => {
      const shapes = Object.values(SMUGGLING);
      socket.write(shapes[Math.floor(Math.random() * shapes.length)] ?? "");
    },
  },
};

/** `connected` counts the connections of a kind so far. */
type Crowd = { connected(kind: string): number; stop(): void };

/** Connects clients of all kinds; resolves when all have connected for the first time. */
export async function startCrowd(
  url: string,
  clients: Record<string, number> = {},
): Promise<Crowd> {
  const port = Number(new URL(url).port);
  const sockets = new Set<Socket>();
  const connected: Record<string, number> = {};
  let isStopped = false;

  const connectClient = async (kind: string, behave: Behavior): Promise<void> => {
    // Half open, so that a client that is disconnected stays as long as it can.
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    sockets.add(socket);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => {}).resume();
    socket.once("connect", () => {
      connected[kind] = (connected[kind] ?? 0) + 1;
      behave(socket);
    });
    socket.once("end", () => sleep(RECONNECT_MS).then(() => socket.destroy()));
    void closed.then(async () => {
      sockets.delete(socket);
      await sleep(RECONNECT_MS, undefined, { ref: false });
      if (!isStopped) await connectClient(kind, behave);
    });
    await new Promise<void>((resolve) => socket.once("connect", resolve).once("close", resolve));
  };

  for (const [kind, { clients: usual, behave }] of Object.entries(CROWD)) {
    const count = clients[kind] ?? usual;
    for (let some = 0; some < count; some += CONNECT_TOGETHER) {
      const together = Math.min(CONNECT_TOGETHER, count - some);
      await Promise.all(Array.from({ length: together }, () => connectClient(kind, behave)));
    }
  }
  return {
    connected: (kind) => connected[kind] ?? 0,
    stop() {
      isStopped = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

function drip(socket: Socket, start: string, more: string): void {
  socket.write(start);
  const timer = setInterval(() => socket.write(more), DRIP_MS);
  socket.once("close", () => clearInterval(timer));
}

if (import.meta.main) {
  await startCrowd(process.argv[2] as string);
  process.send?.("connected");
}
