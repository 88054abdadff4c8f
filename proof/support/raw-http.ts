import { Agent, request as startRequest } from "node:http";
import { connect } from "node:net";

/** One request as it is sent; only `Host` is added. */
export type Sent = {
  method: string;
  /** As in the request line. */
  target: string;
  headers: [name: string, value: string][];
  /** Latin-1, so that each character is a byte. */
  body: string | undefined;
  /** The same before it was compressed. */
  plain?: string | undefined;
};

export type Answer = { status: number; headers: Record<string, string>; text: string };

/** An answer that takes longer counts as missing: a write fails after 4 s, and waits are 1 s at most. */
const HANG_MS = 60_000;
/** A server that waits for more bytes is silent; a busy one is not silent for as long. */
const SILENCE_MS = 3_000;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** Sends a request; rejects where there is no answer. */
export function send(url: string, { method, target, headers, body }: Sent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port, host } = new URL(url);
    const sending = startRequest({
      agent,
      hostname,
      port,
      method,
      path: target,
      signal: AbortSignal.timeout(HANG_MS),
      headers: [["Host", host], ...headers].flat(),
    });
    sending.once("error", reject);
    sending.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk)).once("error", reject);
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: flatten(response.headers), text });
      });
    });
    sending.end(body === undefined ? undefined : Buffer.from(body, "latin1"));
  });
}

/**
 * Writes the parts to a new connection and reads until the server closes it, or has been silent for
 * a while. Returns the answers in order, and whether the server closed the connection.
 */
export function sendBytes(
  url: string,
  parts: readonly string[],
): Promise<{ answers: Answer[]; isClosedByServer: boolean }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const chunks: Buffer[] = [];
    let isClosedByServer = true;
    const timer = setTimeout(
      () => socket.destroy(new Error(`There was no answer within ${HANG_MS} ms.`)),
      HANG_MS,
    );
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.setTimeout(SILENCE_MS, () => {
      isClosedByServer = false;
      socket.end();
    });
    // The server may close the connection while this still writes.
    socket.on("error", (error) => void (error.message === "it hangs" && reject(error)));
    socket.once("close", () => {
      clearTimeout(timer);
      try {
        const answers = parseAnswers(Buffer.concat(chunks).toString("latin1"));
        resolve({ answers, isClosedByServer });
      } catch (error) {
        reject(error);
      }
    });
    for (const part of parts) socket.write(part, "latin1");
  });
}

/** Closes the connections that are kept open. */
export function closeConnections(): void {
  agent.destroy();
}

/** All answers of a connection, none of them to HEAD; throws where one is incomplete. */
export function parseAnswers(bytes: string): Answer[] {
  const answers: Answer[] = [];
  for (let rest = bytes; rest !== ""; ) {
    const end = rest.indexOf("\r\n\r\n");
    const [statusLine = "", ...lines] = rest.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
    if (end < 0 || !status) throw new Error(`Not an answer: ${rest.slice(0, 200)}`);
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const { text, after } = takeBody(status, headers, rest.slice(end + 4));
    rest = after;
    // Interim answers do not count (RFC 9110, 15.2).
    if (status >= 200)
      answers.push({ status, headers, text: Buffer.from(text, "latin1").toString() });
  }
  return answers;
}

function takeBody(status: number, headers: Record<string, string>, bytes: string) {
  if (status < 200 || status === 204 || status === 304) return { text: "", after: bytes };
  if (headers["transfer-encoding"] === "chunked") return takeChunks(bytes);
  const length = Number(headers["content-length"]);
  if (!(bytes.length >= length)) throw new Error(`An answer of ${length} bytes was cut short.`);
  return { text: bytes.slice(0, length), after: bytes.slice(length) };
}

function takeChunks(bytes: string) {
  let [text, after] = ["", bytes];
  for (;;) {
    const [line, size] = /^([0-9a-f]+)\r\n/i.exec(after) ?? [];
    if (line === undefined || size === undefined) throw new Error("An answer's chunk is missing.");
    const length = Number.parseInt(size, 16);
    text += after.slice(line.length, line.length + length);
    after = after.slice(line.length + length + 2);
    if (length === 0) return { text, after };
  }
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value ?? ""].flat().join(", ")]),
  );
}
