/** Paths without parts that differ. */
const FIXED = new Set([
  ...["/", "/openapi.json", "/metrics", "/health/live", "/health/ready", "/_ah/warmup"],
]);
const COLLECTION = "/api/:collection";
const ITEM = `${COLLECTION}/:id`;
const RECEIPT = `${ITEM}/writes/:write`;

/** What a collection's paths are made of; each of them with any collection, known or not. */
const UNDER_API = /^\/api\/[^/]+(\/[^/]+(\/writes\/[^/]+)?)?\/?$/;

/** Of the methods that HTTP knows, those that anybody sends us; OpenTelemetry's word for others. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** The pattern of a request's path, for labels: one of a dozen, whatever is asked for. */
export function routeOf(url: string): string {
  const path = url.split("?", 1)[0] as string;
  if (FIXED.has(path)) return path;
  const parts = UNDER_API.exec(path);
  if (!parts) return "unmatched";
  return parts[2] ? RECEIPT : parts[1] ? ITEM : COLLECTION;
}

/** A request's method, for labels: a known one, or `_OTHER`. */
export function methodOf(method: string): string {
  return METHODS.has(method) ? method : "_OTHER";
}
