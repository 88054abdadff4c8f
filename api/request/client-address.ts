import type { Request, Response } from "express";
import { ipKeyGenerator } from "express-rate-limit";
import type { Config } from "../../common/config.ts";

/** Whose requests are counted together: a principal's, or those of one client address. */
export function identifyClient(response: Response, source: Config["CLIENT_ADDRESS"]): string {
  const { caller } = response.locals;
  return caller ? `principal ${caller.principal}` : `address ${getAddress(response.req, source)}`;
}

/**
 * The client's address. On App Engine the platform sets `X-Appengine-User-IP` itself and strips a
 * client's; `X-Forwarded-For`, which anyone can forge, is never read. An IPv6 client owns a whole
 * prefix, so its addresses count as one.
 */
export function getAddress(request: Request, source: Config["CLIENT_ADDRESS"]): string {
  const attested = source === "appengine" ? request.get("x-appengine-user-ip") : undefined;
  return ipKeyGenerator(attested ?? request.socket.remoteAddress ?? "");
}
