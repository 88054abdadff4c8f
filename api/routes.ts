export const COLLECTION = "/api/:collection";
export const ITEM = `${COLLECTION}/:id`;
export const RECEIPT = `${ITEM}/writes/:write`;

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
const UNDER_API = /^\/api\/([^/]+)(?:\/([^/]+)(?:\/writes\/([^/]+))?)?\/?$/;

/** What stands before the path in an address's absolute form, which every server must take. */
const AUTHORITY = /^[a-z][a-z\d+.-]*:\/\/[^/?]*/i;

/** Of the methods that HTTP knows, those that anybody sends us; OpenTelemetry's word for others. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** The pattern of a request's path, for labels: one of a dozen, whatever is asked for. */
export function getRoute(url: string): string {
  const path = getPath(url);
  return findRoute(path)?.route ?? (Object.hasOwn(ALLOWED, path) ? path : "unmatched");
}

/** A path below `/api`: its pattern, and what stands in its places, still percent-encoded. */
export function findCollectionRoute(
  url: string,
): { route: string; params: Record<string, string> } | undefined {
  return findRoute(getPath(url));
}

function findRoute(path: string): ReturnType<typeof findCollectionRoute> {
  const [whole, collection = "", id, write] = UNDER_API.exec(path) ?? [];
  if (whole === undefined) return undefined;
  if (id === undefined) return { route: COLLECTION, params: { collection } };
  if (write === undefined) return { route: ITEM, params: { collection, id } };
  return { route: RECEIPT, params: { collection, id, write } };
}

/** Also of the absolute form, which a proxy may send (RFC 9112, section 3.2.2). */
function getPath(url: string): string {
  const relative = url.startsWith("/") ? url : url.replace(AUTHORITY, "");
  const end = relative.indexOf("?");
  return (end < 0 ? relative : relative.slice(0, end)) || "/";
}

/** A request's method, for labels: a known one, or `_OTHER`. */
export function getMethodLabel(method: string): string {
  return METHODS.has(method) ? method : "_OTHER";
}
