import express, { type Response } from "express";

/**
 * Ends the response with a value as JSON, as `response.json()` does. That would parse and format the
 * content type again and compare the request's conditions, a tenth of a GET in all, so it is called
 * only where the application has changed it or uses its other settings.
 */
export function sendJson(response: Response, value: unknown): void {
  const { app, json, send } = response;
  const isPlain = json === express.response.json && send === express.response.send;
  if (!isPlain || app.get("etag fn") || app.get("json escape")) return void response.json(value);
  const text = JSON.stringify(value, app.get("json replacer"), app.get("json spaces"));
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  // Node would leave it out of the answer to HEAD.
  response.setHeader("Content-Length", Buffer.byteLength(text));
  response.end(text);
}
