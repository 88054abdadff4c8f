import { type AuthPlugin, authPlugins } from "mysql2";
import { isRefusedLogin } from "./database-faults.ts";
import { REFUSED_LOGIN_INTERVAL_MS } from "./limits.ts";
import type { Logger } from "./telemetry/logger.ts";

/** Refused log-ins that may succeed if the password is sent the other way. */
const retriable = new WeakSet<object>();

/**
 * The `authPlugins` of connections over a Unix socket, for accounts with MySQL's default
 * `caching_sha2_password` (MySQL 8.4 manual, 8.4.1.2). Where the server's cache does not know the
 * password yet (after its start, a failover, FLUSH PRIVILEGES), it wants the password itself: in plain
 * text if the connection reaches the server as a Unix socket, and encrypted with its RSA key if a proxy
 * carries it on over TCP, as Cloud SQL's does. A client cannot see which, and the server answers the
 * wrong way as it answers a wrong password. So the driver's rule, plain text over every socket, is
 * replaced: encrypted first, and after a refused log-in the other way, which is remembered.
 */
export function createSocketPlugins(): { caching_sha2_password: AuthPlugin } {
  let isPlain = false;
  return {
    caching_sha2_password(metadata) {
      const wasPlain = isPlain;
      metadata.connection.once("error", (error) => {
        if (error.code !== "ER_ACCESS_DENIED_ERROR") return;
        retriable.add(error);
        // Of several connections that are refused at once, the first changes it.
        isPlain = !wasPlain;
      });
      return authPlugins.caching_sha2_password({ overrideIsSecure: wasPlain })(metadata);
    },
  };
}

/** The log-ins of a pool that MySQL refused, and who is told. */
type Refusals = { count: number; loggedAt: number; logger: Logger | undefined };
const refusals = new WeakMap<object, Refusals>();

/** Has the refused log-ins of a pool counted, and logged once a minute while they last. */
export function watchLogins(pool: object, logger: Logger | undefined): void {
  refusals.set(pool, { count: 0, loggedAt: Number.NEGATIVE_INFINITY, logger });
}

/** How many log-ins of a pool MySQL has refused since it was opened. */
export function countRefusedLogins(pool: object): number {
  return refusals.get(pool)?.count ?? 0;
}

/**
 * Connects; where the log-in is refused, once more if there is another way to send the password. `pool`
 * is the one whose refused log-ins are watched.
 */
export async function logIn<Result>(
  connect: () => Promise<Result>,
  pool?: object,
): Promise<Result> {
  const secondTry = (error: unknown) =>
    retriable.has(error as object) ? connect() : Promise.reject(error);
  try {
    return await connect().catch(secondTry);
  } catch (error) {
    const known = pool && refusals.get(pool);
    if (known && isRefusedLogin(error)) noteRefusal(known, error as MysqlError);
    throw error;
  }
}

function noteRefusal(refused: Refusals, { code, errno }: MysqlError): void {
  refused.count += 1;
  if (performance.now() - refused.loggedAt < REFUSED_LOGIN_INTERVAL_MS) return;
  refused.loggedAt = performance.now();
  refused.logger?.error("MySQL refuses the log-in", { code, errno, refused: refused.count });
}

type MysqlError = { code?: string; errno?: number };
