import cors from "cors";
import type { Request, RequestHandler, Response } from "express";
import { rateLimit } from "express-rate-limit";
import type { Collection } from "../../common/collection.ts";
import type { Config } from "../../common/config.ts";
import { RATE_WINDOW_MS } from "../../common/limits.ts";
import { missingCredential, missingScope } from "../answer/challenges.ts";
import { ANSWER_HEADERS } from "../answer/headers.ts";
import { Problem } from "../answer/problem.ts";
import { listMethods } from "./allowed-methods.ts";
import { hasRight, type Right } from "./caller.ts";
import { identifyClient } from "./client-address.ts";
import { identifyCaller } from "./credentials.ts";
import type { Keyring } from "./keyring.ts";
import type { VerifyToken } from "./tokens.ts";

const READ_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);
/** How long a browser may cache what CORS allows. */
const CORS_MAX_AGE_SECONDS = 600;

/**
 * Allows cross-origin requests from the configured origins; from none by default. A preflight is told
 * the methods of its path, and is allowed all headers that it asks for. Any other OPTIONS passes on.
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
    if (!isPreflight(request)) return next();
    cors({ ...options, methods: listMethods(request, response) })(request, response, next);
  };
  return [handler];
}

/** By the Fetch standard, section 3.3.2. */
function isPreflight({ headers }: Request): boolean {
  return headers.origin !== undefined && headers["access-control-request-method"] !== undefined;
}

/**
 * Who may call, and how often, in the order in which it is checked: a request with a wrong key or
 * token counts against its client's address before it is refused, another against its principal.
 * What the caller may do is up to {@link requireRight}.
 */
export function createGuards(
  config: Config,
  keyring: Keyring,
  verify?: VerifyToken,
): RequestHandler[] {
  const identified = identifyCaller(config, keyring, verify);
  return [...identified, ...limitRate(config), ...refuseUnidentified(config)];
}

/**
 * The same for `/metrics`, which requires `operate` if there are keys or issuers, and limits requests
 * with a wrong credential only.
 */
export function createMetricsGuards(
  config: Config,
  keyring: Keyring,
  verify?: VerifyToken,
): RequestHandler[] {
  const identified = identifyCaller(config, keyring, verify);
  if (identified.length === 0) return [];
  const skip = (_request: Request, response: Response) => response.locals.refusal === undefined;
  const refused = refuseUnidentified({ ...config, ACCESS: "keys" });
  const handler: RequestHandler = (_request, { locals }, next) => {
    if (locals.caller && hasRight(locals.caller, "operate", "*")) return next();
    throw missingScope("operate");
  };
  return [...identified, ...limitRate(config, skip), ...refused, handler];
}

/** Refuses wrong credentials, also where none is needed, and requests without where one is. */
function refuseUnidentified(config: Config): RequestHandler[] {
  if (config.ACCESS === "public" && !hasCallers(config)) return [];
  const handler: RequestHandler = ({ method }, { locals }, next) => {
    if (locals.refusal) throw locals.refusal;
    const right = READ_METHODS.has(method) ? "read" : "write";
    if (!locals.caller && !isOpen(config, right)) throw missingCredential();
    next();
  };
  return [handler];
}

/**
 * Requires one of the rights to a collection, by default to that in the path: 403 with the scope that
 * is missing. No handler where anyone has the right.
 */
export function requireRight(
  config: Config,
  rights: readonly Right[],
  getCollection: (request: Request) => Collection,
): RequestHandler[] {
  if (rights.some((right) => isOpen(config, right))) return [];
  const handler: RequestHandler = (request, { locals }, next) => {
    const { name } = getCollection(request);
    const { caller } = locals;
    const [first = "", ...others] = rights.map((right) => `${name}:${right}`);
    if (!caller || !rights.some((right) => hasRight(caller, right, name)))
      throw missingScope(first, ...others);
    next();
  };
  return [handler];
}

/** Whether the caller may be shown items of a collection. */
export function mayRead(config: Config, { locals }: Response, { name }: Collection): boolean {
  return isOpen(config, "read") || (!!locals.caller && hasRight(locals.caller, "read", name));
}

/** Whether there is anyone to identify. */
export function hasCallers({ API_KEYS, OIDC_ISSUERS }: Config): boolean {
  return API_KEYS.length > 0 || OIDC_ISSUERS.length > 0;
}

/** Whether anyone has a right to every collection. */
export function isOpen({ ACCESS }: Pick<Config, "ACCESS">, right: Right): boolean {
  return ACCESS === "public" || (ACCESS === "public-reads" && right === "read");
}

/** Limits requests per principal, else per client address, with `RateLimit` headers (draft 8). */
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
    keyGenerator: (_request, response) => identifyClient(response, CLIENT_ADDRESS),
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
