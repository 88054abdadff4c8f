import { createHash, timingSafeEqual } from "node:crypto";
import type { Request, RequestHandler } from "express";
import { ipKeyGenerator, rateLimit } from "express-rate-limit";
import type { ApiKey, Config } from "../common/config.ts";
import { Problem } from "./problem.ts";
import { getContext } from "./request-context.ts";

const READ_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);
const RATE_WINDOW_MS = 60_000;

/**
 * Demands an API key where the configuration wants one. A key that is shown must be a known one,
 * also where none is needed. 401 without, 403 where its scope does not reach.
 */
export function requireKey({ API_KEYS, API_KEYS_FOR }: Config): RequestHandler[] {
  if (API_KEYS.length === 0) return [];
  const handler: RequestHandler = (request, _response, next) => {
    const isRead = READ_METHODS.has(request.method);
    const shown = request.get("authorization");
    const key = shown === undefined ? undefined : findKey(API_KEYS, shown);
    if (shown !== undefined && !key) throw missingKey("The API key is not known.");
    if (!key && (!isRead || API_KEYS_FOR === "everything"))
      throw missingKey("An API key is needed: Authorization: Bearer <key>.");
    if (key?.scope === "read" && !isRead)
      throw new Problem("wrong-scope", "The API key is for reading only.");
    getContext(request).key = key;
    next();
  };
  return [handler];
}

/** Limits requests per API key, else per client address, with `RateLimit` headers (draft 8). */
export function limitRate({ RATE_LIMIT_PER_MINUTE, CLIENT_ADDRESS }: Config): RequestHandler[] {
  if (RATE_LIMIT_PER_MINUTE === 0) return [];
  const handler = rateLimit({
    windowMs: RATE_WINDOW_MS,
    limit: RATE_LIMIT_PER_MINUTE,
    standardHeaders: "draft-8",
    legacyHeaders: false,
    keyGenerator: (request) => getClient(request, CLIENT_ADDRESS),
    // The library's checks are for its own reading of addresses, which is not used.
    validate: false,
    handler() {
      throw new Problem(
        "too-many-requests",
        `More than ${RATE_LIMIT_PER_MINUTE} requests came within a minute.`,
      );
    },
  });
  return [handler];
}

/**
 * Whose requests are counted together. On App Engine the platform sets `X-Appengine-User-IP`
 * itself and strips a client's; `X-Forwarded-For`, which anyone can forge, is never read.
 */
function getClient(request: Request, source: Config["CLIENT_ADDRESS"]): string {
  const { key } = getContext(request);
  if (key) return `key ${key.name}`;
  const attested = source === "appengine" ? request.get("x-appengine-user-ip") : undefined;
  // An IPv6 client owns a whole prefix, so its addresses count as one.
  return `address ${ipKeyGenerator(attested ?? request.socket.remoteAddress ?? "")}`;
}

/** Compares with every key in constant time, so that timing tells nothing of any of them. */
function findKey(keys: readonly ApiKey[], authorization: string): ApiKey | undefined {
  const secret = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "";
  const sha256 = createHash("sha256").update(secret).digest();
  let found: ApiKey | undefined;
  for (const key of keys) if (timingSafeEqual(key.sha256, sha256)) found = key;
  return found;
}

function missingKey(detail: string): Problem {
  return new Problem("missing-key", detail, { headers: { "WWW-Authenticate": "Bearer" } });
}
