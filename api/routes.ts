const COLLECTION = "/api/:collection";
const ITEM = `${COLLECTION}/:id`;
const RECEIPT = `${ITEM}/writes/:write`;

const TO_READ = "GET, HEAD";
/** The methods that each path takes, by its pattern. */
export const ALLOWED: Record<string, string> = {
  "/": TO_READ,
  "/openapi.json": TO_READ,
  "/metrics": TO_READ,
  "/health/live": TO_READ,
  "/health/ready": TO_READ,
  "/_ah/warmup": TO_READ,
  [COLLECTION]: `${TO_READ}, POST, PUT`,
  [ITEM]: `${TO_READ}, PUT, DELETE`,
  [RECEIPT]: TO_READ,
};

/** What a collection's paths are made of; each of them with any collection, known or not. */
const UNDER_API = /^\/api\/[^/]+(\/[^/]+(\/writes\/[^/]+)?)?\/?$/;

/** What stands before the path in an address's absolute form, which every server must take. */
const AUTHORITY = /^[a-z][a-z\d+.-]*:\/\/[^/?]*/i;

/** Of the methods that HTTP knows, those that anybody sends us; OpenTelemetry's word for others. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** The pattern of a request's path, for labels: one of a dozen, whatever is asked for. */
export function routeOf(url: string): string {
  const relative = url.startsWith("/") ? url : url.replace(AUTHORITY, "");
  const path = (relative.split("?", 1)[0] as string) || "/";
  const parts = UNDER_API.exec(path);
  if (parts) return parts[2] ? RECEIPT : parts[1] ? ITEM : COLLECTION;
  return Object.hasOwn(ALLOWED, path) ? path : "unmatched";
}

/** A request's method, for labels: a known one, or `_OTHER`. */
export function methodOf(method: string): string {
  return METHODS.has(method) ? method : "_OTHER";
}
