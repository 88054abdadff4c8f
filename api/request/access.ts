import { createHash, timingSafeEqual } from "node:crypto";
import cors from "cors";
import type { IRouter, Request, RequestHandler, Response } from "express";
import { ipKeyGenerator, rateLimit } from "express-rate-limit";
import type { ApiKey, Config } from "../../common/config.ts";
import { ANSWER_HEADERS } from "../answer/headers.ts";
import { Problem } from "../answer/problem.ts";
import type { Caller } from "./caller.ts";

const READ_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);
const RATE_WINDOW_MS = 60_000;
/** How long a browser may cache what CORS allows. */
const CORS_MAX_AGE_SECONDS = 600;

/**
 * Allows cross-origin requests from the configured origins; from none by default. A preflight is told
 * the methods that the application's routes support, and is allowed all headers that it asks for.
 */
export function allowOrigins({ CORS_ORIGINS }: Config): RequestHandler[] {
  if (CORS_ORIGINS.length === 0) return [];
  const options = {
    origin: CORS_ORIGINS.includes("*") ? "*" : CORS_ORIGINS,
    exposedHeaders: Object.keys(ANSWER_HEADERS),
    maxAge: CORS_MAX_AGE_SECONDS,
  };
  const handleOther = cors(options);
  const handler: RequestHandler = (request, response, next) => {
    if (request.method !== "OPTIONS") return handleOther(request, response, next);
    cors({ ...options, methods: listMethods(request.app.router) })(request, response, next);
  };
  return [handler];
}

/** The methods of all routes of a router, and of the routers in it. */
function listMethods({ stack }: IRouter): string[] {
  const methods = stack.flatMap(({ route, handle }) => {
    if (route) return route.stack.map(({ method }) => method);
    return "stack" in handle ? listMethods(handle as IRouter) : [];
  });
  // Handlers of all methods have none.
  return [...new Set(methods.filter(Boolean).map((method) => method.toUpperCase()))];
}

/**
 * Who may call, and how often, in the order in which it is checked: a request with a wrong key counts
 * against its client's address before it is refused, and one with a valid key against that key.
 */
export function createGuards(config: Config): RequestHandler[] {
  return [...identifyKey(config), ...limitRate(config), ...requireKey(config)];
}

/** The same for `/metrics`, which always requires a key if there are any, and limits wrong ones only. */
export function createMetricsGuards(config: Config): RequestHandler[] {
  if (config.API_KEYS.length === 0) return [];
  const skip = (request: Request, response: Response) => !showsWrongKey(request, response);
  const required = requireKey({ ...config, API_KEYS_FOR: "everything" });
  return [...identifyKey(config), ...limitRate(config, skip), ...required];
}

const SCOPES = { read: new Set(["*:read"]), write: new Set(["*:read", "*:write"]) };

/** Fills `response.locals.caller` where the request shows a valid API key. */
function identifyKey({ API_KEYS }: Config): RequestHandler[] {
  if (API_KEYS.length === 0) return [];
  const handler: RequestHandler = (request, response, next) => {
    const shown = request.get("authorization");
    const key = shown === undefined ? undefined : findKey(API_KEYS, shown);
    if (key) response.locals.caller = toCaller(key);
    next();
  };
  return [handler];
}

/**
 * Requires an API key where the configuration says so: 401 without, 403 where its scope does not
 * permit the method. A key that is sent must be valid, also where none is required.
 */
function requireKey({ API_KEYS, API_KEYS_FOR }: Config): RequestHandler[] {
  if (API_KEYS.length === 0) return [];
  const handler: RequestHandler = (request, response, next) => {
    const isRead = READ_METHODS.has(request.method);
    const { caller } = response.locals;
    if (showsWrongKey(request, response))
      throw missingKey("The API key is not valid.", ', error="invalid_token"');
    if (!caller && (!isRead || API_KEYS_FOR === "everything"))
      throw missingKey("This request needs an API key: Authorization: Bearer <key>.");
    if (caller && !caller.scopes.has("*:write") && !isRead)
      throw new Problem("wrong-scope", "The API key permits reading only.");
    next();
  };
  return [handler];
}

function showsWrongKey(request: Request, { locals }: Response): boolean {
  return !locals.caller && request.get("authorization") !== undefined;
}

/** Limits requests per API key, else per client address, with `RateLimit` headers (draft 8). */
function limitRate(
  { RATE_LIMIT_PER_MINUTE, CLIENT_ADDRESS }: Config,
  skip: (request: Request, response: Response) => boolean = () => false,
): RequestHandler[] {
  if (RATE_LIMIT_PER_MINUTE === 0) return [];
  const handler = rateLimit({
    windowMs: RATE_WINDOW_MS,
    limit: RATE_LIMIT_PER_MINUTE,
    standardHeaders: "draft-8",
    legacyHeaders: false,
    skip,
    keyGenerator: (request, response) => identifyClient(request, response, CLIENT_ADDRESS),
    // The library validates its own way to find addresses, which is not used here.
    validate: false,
    handler() {
      throw new Problem(
        "too-many-requests",
        `The limit is ${RATE_LIMIT_PER_MINUTE} requests a minute.`,
      );
    },
  });
  return [handler];
}

/**
 * Whose requests are counted together. On App Engine the platform sets `X-Appengine-User-IP`
 * itself and strips a client's; `X-Forwarded-For`, which anyone can forge, is never read.
 */
function identifyClient(
  request: Request,
  response: Response,
  source: Config["CLIENT_ADDRESS"],
): string {
  const { caller } = response.locals;
  if (caller) return `principal ${caller.principal}`;
  const attested = source === "appengine" ? request.get("x-appengine-user-ip") : undefined;
  // An IPv6 client owns a whole prefix, so its addresses count as one.
  return `address ${ipKeyGenerator(attested ?? request.socket.remoteAddress ?? "")}`;
}

function toCaller({ name, scope }: ApiKey): Caller {
  return { principal: `key:${name}`, scopes: SCOPES[scope] };
}

/** Compares with every key in constant time, so that timing reveals nothing about any of them. */
function findKey(keys: readonly ApiKey[], authorization: string): ApiKey | undefined {
  const secret = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "";
  const sha256 = createHash("sha256").update(secret).digest();
  let found: ApiKey | undefined;
  for (const key of keys) if (timingSafeEqual(key.sha256, sha256)) found = key;
  return found;
}

/** 401 with a challenge (RFC 6750, section 3); `error` is set where a key was sent. */
function missingKey(detail: string, error = ""): Problem {
  const challenge = `Bearer realm="constancia"${error}`;
  return new Problem("missing-key", detail, { headers: { "WWW-Authenticate": challenge } });
}
