import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SMUGGLING } from "./smuggling.ts";

/** One hostile client's way with its connection, from when it is made. */
type Manner = (socket: Socket) => void;

/** How often those that are slow send a byte or a line: too often to count as gone. */
const DRIP_MS = 500;
/** So many requests in one write; a server that reads ahead would have all of them at hand. */
const PIPELINED = 100;
/** What is cut off, or refused, comes again after this; a crowd, not a flood. */
const AGAIN_MS = 1_000;
/** So many connect at once: a listener's queue is short. */
const CONNECT_TOGETHER = 100;

const HOST = "Host: x\r\n";
const LIST = `GET /api/data?limit=1000 HTTP/1.1\r\n${HOST}\r\n`;
const POST = `POST /api/data HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;

/** Kinds of hostile clients, what they do, and how many there are unless told otherwise. */
export const CROWD: Record<string, { clients: number; manner: Manner }> = {
  /** Say nothing. */
  idle: { clients: 3_000, manner: () => {} },
  /** One request, and then nothing. */
  parked: {
    clients: 500,
    manner: (socket) => void socket.write(`GET /health/live HTTP/1.1\r\n${HOST}\r\n`),
  },
  slowHead: {
    clients: 200,
    manner: (socket) => drip(socket, `GET / HTTP/1.1\r\n${HOST}`, "X: y\r\n"),
  },
  slowBody: {
    clients: 200,
    manner: (socket) => drip(socket, `${POST}Content-Length: 100000\r\n\r\n`, "x"),
  },
  halfClosed: {
    clients: 50,
    manner: (socket) => void socket.end(`${POST}Content-Length: 100\r\n\r\n{`),
  },
  /** Ask for a lot, at once, and read none of it. */
  deaf: {
    clients: 20,
    manner: (socket) => void socket.pause().write(LIST.repeat(PIPELINED)),
  },
  largeHead: {
    clients: 20,
    manner: (socket) => void socket.write(`GET / HTTP/1.1\r\n${HOST}X: ${"x".repeat(60_000)}`),
  },
  smuggler: {
    clients: 20,
    manner: (socket) => {
      const shapes = Object.values(SMUGGLING);
      socket.write(shapes[Math.floor(Math.random() * shapes.length)] ?? "");
    },
  },
};

/** A crowd that has come: who of a kind was connected once, and its end. */
export type Crowd = { connected(kind: string): number; stop(): void };

/** Brings all kinds to the server at once; resolves when all have connected for the first time. */
export async function startCrowd(
  url: string,
  clients: Record<string, number> = {},
): Promise<Crowd> {
  const port = Number(new URL(url).port);
  const sockets = new Set<Socket>();
  const connected: Record<string, number> = {};
  let isOver = false;

  const come = async (kind: string, manner: Manner): Promise<void> => {
    // Half open, so that one that is told to go stays as long as it may.
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    sockets.add(socket);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => {}).resume();
    socket.once("connect", () => {
      connected[kind] = (connected[kind] ?? 0) + 1;
      manner(socket);
    });
    socket.once("end", () => sleep(AGAIN_MS).then(() => socket.destroy()));
    void closed.then(async () => {
      sockets.delete(socket);
      await sleep(AGAIN_MS, undefined, { ref: false });
      if (!isOver) await come(kind, manner);
    });
    await new Promise<void>((resolve) => socket.once("connect", resolve).once("close", resolve));
  };

  for (const [kind, { clients: usual, manner }] of Object.entries(CROWD)) {
    const count = clients[kind] ?? usual;
    for (let some = 0; some < count; some += CONNECT_TOGETHER) {
      const together = Math.min(CONNECT_TOGETHER, count - some);
      await Promise.all(Array.from({ length: together }, () => come(kind, manner)));
    }
  }
  return {
    connected: (kind) => connected[kind] ?? 0,
    stop() {
      isOver = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

function drip(socket: Socket, start: string, more: string): void {
  socket.write(start);
  const timer = setInterval(() => socket.write(more), DRIP_MS);
  socket.once("close", () => clearInterval(timer));
}
