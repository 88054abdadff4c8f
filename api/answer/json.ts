import express, { type Response } from "express";

/**
 * Ends the response with a value as JSON, as `response.json()` does. That would parse and format the
 * content type again and compare the request's conditions, a tenth of a GET in all, so it is called
 * only where the application has changed it or uses its other settings.
 */
export function sendJson(response: Response, value: unknown): void {
  const { app } = response;
  if (!isPlain(response) || app.get("json escape")) return void response.json(value);
  end(response, JSON.stringify(value, app.get("json replacer"), app.get("json spaces")));
}

/** As {@link sendJson}, with a value that is in bytes already, and as `response.send()` does. */
export function sendJsonBytes(response: Response, bytes: Buffer): void {
  if (isPlain(response)) end(response, bytes);
  else response.type("json").send(bytes);
}

function isPlain({ app, json, send }: Response): boolean {
  const { response } = express;
  return json === response.json && send === response.send && !app.get("etag fn");
}

function end(response: Response, content: string | Buffer): void {
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  // Node would leave it out of the answer to HEAD.
  response.setHeader("Content-Length", Buffer.byteLength(content));
  response.end(content);
}
