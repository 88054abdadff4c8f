import express, { type Express, type Request } from "express";
import { OAuth2Client } from "google-auth-library";
import { z } from "zod";
import type { Batcher } from "../common/batcher.ts";
import { ByteBudget } from "../common/byte-budget.ts";
import { withDeadline } from "../common/deadline.ts";
import { parseJson } from "../common/json.ts";
import { PUSHES_BYTES } from "../common/limits.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { isCompactToken } from "../common/token-form.ts";
import { type Decision, isGivenBack } from "./decide.ts";
import { DELIVERY_EXHAUSTED, type Message } from "./message.ts";

/** Pub/Sub's 10 MB a message, in base64, with its envelope. */
const ENVELOPE_BYTES = 14 * 1024 * 1024;

/** Pub/Sub pushes again where Google's certificates cannot be fetched in this time. */
const CERTS_DEADLINE_MS = 10_000;

/** Verified tokens, so that each is verified once in its hour; the oldest are removed first. */
const KNOWN_TOKENS = 100;

/** A push in its wrapped form (Pub/Sub guide, "Receive messages from push subscriptions"). */
const envelope = z.object({
  message: z.object({
    messageId: z.string(),
    attributes: z.record(z.string(), z.string()).default({}),
    data: z.base64().default(""),
    publishTime: z.iso.datetime({ offset: true }).optional(),
  }),
});

/** Says whether a request's `Authorization` header is Pub/Sub's own; rejects if that cannot be found out. */
export type VerifyPush = (authorization: string | undefined) => Promise<boolean>;

/**
 * The push endpoints: `/push` for the topic, `/push/dead-letters` for its dead-letter topic.
 * 204 once the message's outcome is committed, which acknowledges it; 503 so that Pub/Sub
 * redelivers it, also while a token cannot be verified; 401 without a valid token.
 */
export function createPush(options: {
  batcher: Pick<Batcher<Message, Decision>, "add">;
  verify: VerifyPush;
  isReady: () => boolean;
  /** Deletes what is past its retention; resolves to whether that succeeded. */
  sweep: () => Promise<boolean>;
  /** Whether the platform removes `X-Appengine-Cron` from the requests of others. */
  isCronStripped: boolean;
  logger: Logger;
}): Express {
  const { batcher, verify, isReady, sweep, isCronStripped, logger } = options;
  const app = express().disable("x-powered-by").disable("etag").set("env", "production");
  app.get(["/health/live", "/_ah/start"], (_request, response) => void response.sendStatus(200));
  app.get(["/health/ready", "/_ah/warmup"], (_request, response) => {
    response.sendStatus(isReady() ? 200 : 503);
  });
  // For the cron of App Engine (cron.yaml), which strips this header from the requests of others.
  app.get("/_ah/sweep", async (request, response) => {
    if (!isCronStripped || request.get("x-appengine-cron") !== "true")
      return void response.sendStatus(403);
    response.sendStatus((await sweep()) ? 204 : 503);
  });
  app.post(
    ["/push", "/push/dead-letters"],
    async (request, response, next) => {
      // Before the body is read: an unknown sender costs no memory. Why a token was refused is not
      // logged, because the verifier's errors quote the token.
      try {
        if (await verify(request.get("authorization"))) return next();
      } catch (error) {
        logger.error("cannot fetch token certificates", {
          code: (error as { code?: string }).code,
        });
        return void response.sendStatus(503);
      }
      logger.warn("a push without a valid token was refused");
      response.set("WWW-Authenticate", "Bearer").sendStatus(401);
    },
    holdBytes(new ByteBudget(PUSHES_BYTES)),
    express.raw({ limit: ENVELOPE_BYTES, inflate: false, type: () => true }),
    async (request, response) => {
      const message = takeMessage(request);
      if (!message) return reject(response, 400);
      const { messageId } = message;
      if (request.path.endsWith("/dead-letters")) message.deliveryExhausted = DELIVERY_EXHAUSTED;
      const decision = await batcher.add(message).catch(() => undefined);
      if (!decision) return reject(response, 503, messageId);
      response.sendStatus(isGivenBack(decision) ? 503 : 204);
    },
  );
  app.use(
    (error: { status?: number }, _request: unknown, response: express.Response, _next: unknown) =>
      reject(response, error.status ?? 500),
  );
  return app;

  function reject(response: express.Response, status: number, messageId?: string): void {
    logger.log(status < 500 ? "warn" : "error", "push request rejected", { status, messageId });
    response.sendStatus(status);
  }
}

/**
 * The message in a push; undefined where it has none. The body and its text are not kept: they would
 * be held three times while the message waits.
 */
function takeMessage(request: Request): Message | undefined {
  const { success, data: parsed } = envelope.safeParse(parseBody(request.body));
  request.body = undefined;
  if (!success) return undefined;
  const { messageId, attributes, data, publishTime } = parsed.message;
  return {
    messageId,
    attributes,
    data: Buffer.from(data, "base64"),
    publishedAt: publishTime === undefined ? undefined : Date.parse(publishTime),
    receivedMs: Date.now(),
  };
}

/** The JSON of a body; undefined where it is none. `express.json` would use V8's JSON.parse. */
function parseBody(body: unknown): unknown {
  try {
    return parseJson(String(body));
  } catch {
    return undefined;
  }
}

/**
 * Holds a push's bytes until it is answered; 503 where all pushes would hold too many. Pub/Sub always
 * names the length, and never compresses; where none is named, it counts as the largest.
 */
function holdBytes(budget: ByteBudget): express.RequestHandler {
  return (request, response, next) => {
    const length = Number(request.get("content-length") ?? ENVELOPE_BYTES);
    const bytes = Math.min(length, ENVELOPE_BYTES);
    if (!budget.tryReserve(bytes)) return void response.set("Retry-After", "1").sendStatus(503);
    response.on("close", () => budget.release(bytes));
    next();
  };
}

/**
 * Verifies Pub/Sub's OIDC token: signature and issuer by Google's library, then the audience
 * **and** the service account's verified e-mail, since any Google account can obtain a token for
 * any audience (Pub/Sub guide, "Authenticate push subscriptions"). `certsUrl` replaces Google's
 * certificates in tests.
 */
export function createVerifier(options: {
  audience: string;
  serviceAccount: string;
  certsUrl?: string;
}): VerifyPush {
  const { audience, serviceAccount, certsUrl } = options;
  const client = new OAuth2Client(
    certsUrl ? { endpoints: { oauth2FederatedSignonPemCertsUrl: certsUrl } } : {},
  );
  const expiryByToken = new Map<string, number>();
  return async (authorization) => {
    const idToken = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1];
    // In one spelling only: variants of a token would fill the cache.
    if (!idToken || !isCompactToken(idToken)) return false;
    const knownUntil = expiryByToken.get(idToken);
    if (knownUntil !== undefined && Date.now() < knownUntil) return true;
    // The certificates are cached. Fetched apart, because a verification error means an invalid token.
    const { certs } = await withDeadline(client.getFederatedSignonCerts(), CERTS_DEADLINE_MS);
    const payload = await client
      .verifySignedJwtWithCertsAsync(idToken, certs, audience, client.issuers)
      .then((ticket) => ticket.getPayload())
      .catch(() => undefined);
    if (!payload || payload.email !== serviceAccount || payload.email_verified !== true)
      return false;
    if (expiryByToken.size >= KNOWN_TOKENS)
      expiryByToken.delete(expiryByToken.keys().next().value as string);
    expiryByToken.set(idToken, payload.exp * 1000);
    return true;
  };
}
