import assert from "node:assert/strict";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { PubSub, v1 } from "@google-cloud/pubsub";
import { query } from "../../common/database.ts";
import type { MessageContent } from "../../common/write.ts";
import { checkContract } from "./contract.ts";
import type { TestEnvironment } from "./environment.ts";

/** A client of a running API: each call gives the whole answer, held to the OpenAPI document. */
export type Client = ReturnType<typeof createClient>;

export type Answer = { status: number; headers: Headers; text: string; body: AnswerBody };

/** What the API may answer with; a test reads the members that it expects to be there. */
export type AnswerBody = {
  id: string;
  write: string;
  status: string | number;
  receipt: string;
  outcome: string | null;
  version: string | null;
  created: boolean | null;
  reason: string | null;
  acceptedAt: string;
  settledAt: string | null;
  lagMs: number | null;
  trace: string | null;
  type: string;
  title: string;
  detail: string;
  errors: { pointer: string; detail: string }[];
  results: AnswerBody[];
  data: AnswerBody[];
  next: string | null;
  [member: string]: unknown;
};

type RequestHeaders = Record<string, string>;

export function createClient(url: string) {
  return {
    url,
    send,
    get: (path: string, headers?: RequestHeaders) => send("GET", path, { headers }),
    post: (path: string, value: unknown, headers?: RequestHeaders) =>
      send("POST", path, { body: JSON.stringify(value), headers }),
    put: (path: string, value: unknown, headers?: RequestHeaders) =>
      send("PUT", path, { body: JSON.stringify(value), headers }),
    delete: (path: string, headers?: RequestHeaders) => send("DELETE", path, { headers }),
    settled,
    countAccepted,
  };

  /** Sends bytes as they are; the content type is JSON where the headers name none. */
  async function send(
    method: string,
    path: string,
    {
      body,
      headers = {},
    }: { body?: string | Uint8Array; headers?: RequestHeaders | undefined } = {},
  ): Promise<Answer> {
    const type: RequestHeaders = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(url + path, {
      method,
      headers: { ...type, ...headers },
      ...(body === undefined ? {} : { body: body as string }),
      redirect: "manual",
    });
    const answer = readAnswer(response.status, response.headers, await response.text());
    checkContract(url, { method, target: path }, answer);
    return answer;
  }

  /** Waits for a write's outcome; the receipt. */
  async function settled(receipt: string): Promise<AnswerBody> {
    for (let tries = 1; ; tries += 1) {
      const { status, body } = await send("GET", receipt, { headers: { prefer: "wait=10" } });
      assert.equal(status, 200, `the receipt ${receipt}`);
      if (body.status === "settled") return body;
      assert.ok(tries < 6, `${receipt} is not settled.`);
    }
  }

  /** How many writes this API says were accepted; it must run with METRICS on. */
  async function countAccepted(): Promise<number> {
    const { text } = await send("GET", "/metrics");
    const counts = text.matchAll(/^constancia_writes_accepted_total\{.*\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  }
}

/** Runs `refused` and checks that it left nothing behind, in Pub/Sub or in the tables. */
export async function assertNoTrace(
  { pool }: TestEnvironment,
  api: Client,
  refused: () => Promise<void>,
): Promise<void> {
  const accepted = await api.countAccepted();
  await refused();
  assert.equal(await api.countAccepted(), accepted);
  const [counts] = await query(
    pool,
    "SELECT (SELECT COUNT(*) FROM data) + (SELECT COUNT(*) FROM writes)" +
      " + (SELECT COUNT(*) FROM dead_letters) AS traces",
  );
  assert.equal(Number(counts?.traces), 0);
}

/** Checks a refusal against RFC 9457 and our own rules: a stable type, a sentence, no innards. */
export function assertProblem(
  answer: Answer,
  status: number,
  name: string,
  pointers?: readonly string[],
): void {
  const { body } = answer;
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json\b/);
  assertProblemBody(body, status, name, pointers);
  if (status === 503) assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/);
}

/** The same for one record's result in a bulk answer. */
export function assertProblemBody(
  body: AnswerBody,
  status: number,
  name: string,
  pointers?: readonly string[],
): void {
  assert.equal(body.type, `urn:problem-type:constancia:${name}`, JSON.stringify(body));
  assert.equal(body.status, status);
  assert.match(body.title, /^[A-Z]/);
  assert.match(body.detail, /^[A-Z]\S* \S+ \S/, "a sentence");
  assert.doesNotMatch(JSON.stringify(body), /SELECT|INSERT|node_modules|\.ts:\d/);
  if (!pointers) return;
  assert.deepEqual(
    body.errors.map(({ pointer }) => pointer),
    pointers,
  );
  for (const { detail } of body.errors) assert.match(detail, /^[A-Z]\S* \S/);
}

/** A server that has sent nothing for so long will not, however busy the machine is. */
const SILENCE_MS = 60_000;

/**
 * Writes bytes to the server and reads all that it answers until it closes; so the bytes should
 * ask for `Connection: close`. With `halfClose` our side is closed after the last byte.
 */
export async function sendRaw(
  url: string,
  bytes: readonly (string | Uint8Array)[],
  { halfClose = false } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  // The server may close the connection while we still write.
  socket.on("error", () => {});
  socket.setTimeout(SILENCE_MS, () => socket.destroy());
  for (const part of bytes) socket.write(part);
  if (halfClose) socket.end();
  const text = await readText(socket).catch(() => "");
  socket.destroy();
  const [head = "", body = ""] = text.split("\r\n\r\n");
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = new Headers(
    lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
  );
  const isChunked = headers.get("transfer-encoding") === "chunked";
  const content = isChunked ? body.replace(/^[0-9a-f]+\r\n/i, "").replace(/(^|\r\n)0$/, "") : body;
  return readAnswer(Number(statusLine.split(" ")[1]), headers, content);
}

/** Puts messages on the environment's topic by hand, in one request; returns Pub/Sub's message ids. */
export async function publishByHand(
  { env }: TestEnvironment,
  messages: readonly MessageContent[],
): Promise<string[]> {
  const { GOOGLE_CLOUD_PROJECT: projectId = "", PUBSUB_EMULATOR_HOST: apiEndpoint = "" } = env;
  const pubsub = new PubSub({ projectId, apiEndpoint, emulatorMode: true });
  const client = new v1.PublisherClient(
    (await pubsub.getClientConfig()) as ConstructorParameters<typeof v1.PublisherClient>[0],
  );
  try {
    const topic = `projects/${projectId}/topics/${env.PUBSUB_TOPIC}`;
    const [{ messageIds }] = await client.publish({ topic, messages: [...messages] });
    return messageIds ?? [];
  } finally {
    await client.close();
    await pubsub.close();
  }
}

function readAnswer(status: number, headers: Headers, text: string): Answer {
  const isJson = /\bjson\b/.test(headers.get("content-type") ?? "") && text !== "";
  return { status, headers, text, body: (isJson ? JSON.parse(text) : undefined) as AnswerBody };
}
