import { ServerResponse } from "node:http";
import type { Express, Request, Response } from "express";
import { getContext } from "./request-context.ts";

/** Answers are data: never rendered, sniffed, framed or kept by a cache. */
const SECURITY_HEADERS = [
  ...["Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"],
  ...["X-Content-Type-Options", "nosniff"],
  ...["Referrer-Policy", "no-referrer"],
  ...["Cache-Control", "no-cache"],
];

/**
 * Adds to the head of every answer what all have, as it is written: setting one header after the
 * other at the start costs three times as much as one list. What a handler has set itself stays.
 */
export function completeHeads(app: Express): void {
  const { writeHead } = ServerResponse.prototype;
  app.response.writeHead = function complete(this: Response, status: number, headers?: unknown) {
    const { requestId } = getContext(this.req as Request);
    const added = [...SECURITY_HEADERS, "X-Request-Id", requestId];
    if (Array.isArray(headers)) return writeHead.call(this, status, [...headers, ...added]);
    for (let place = 0; place < added.length; place += 2) {
      const name = added[place] as string;
      if (!this.hasHeader(name)) this.setHeader(name, added[place + 1] as string);
    }
    return writeHead.call(this, status, headers as undefined);
  } as typeof app.response.writeHead;
}

/**
 * Answers with JSON. `headers` are names and values in turn, as Node takes them. Express's own asks
 * on every answer what is known here: the type, the charset, and that entity tags are ours to set.
 */
export function answerJson(
  response: Response,
  status: number,
  body: unknown,
  headers: readonly string[] = [],
): void {
  const text = JSON.stringify(body);
  const type = ["Content-Type", "application/json; charset=utf-8"];
  const bytes = Buffer.byteLength(text);
  response.writeHead(status, [...headers, ...type, "Content-Length", String(bytes)]);
  // ASCII, as most answers are, is written faster by its simpler name.
  response.end(text, bytes === text.length ? "latin1" : "utf8");
}
