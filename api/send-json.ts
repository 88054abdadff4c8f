import type { Response } from "express";

/**
 * Sends a body as JSON. Express's own asks on every answer what is known here: the type, the
 * charset, and that entity tags are ours to set.
 */
export function sendJson(response: Response, body: unknown): void {
  const text = JSON.stringify(body);
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.setHeader("Content-Length", Buffer.byteLength(text));
  response.end(text);
}
