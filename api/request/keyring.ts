import { timingSafeEqual } from "node:crypto";
import { type ApiKey, apiKeys } from "../../common/api-keys.ts";
import { API_KEYS_READ } from "../../common/limits.ts";
import { accessSecret } from "../../common/secrets.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import type { Caller } from "./caller.ts";

type Access = (version: string) => Promise<string>;

export type Keyring = {
  /** The holder of the key with this SHA-256, as far as this process knows. */
  find(sha256: Buffer): Caller | undefined;
  /** The same once the keys were read again; undefined where they are not to be read now. */
  findAgain(sha256: Buffer): Promise<Caller | undefined> | undefined;
};

/**
 * The API keys of a process. Where they are in the latest version of a secret, they are read again
 * beside the requests once they are a minute old, and before a key is refused that they do not have;
 * at most once in {@link API_KEYS_READ}.pauseMs. So a new key is taken at once and a removed one is
 * refused soon, without a rollout. If they cannot be read, those that are known stay.
 */
export function createKeyring(
  config: { API_KEYS: readonly ApiKey[]; API_KEYS_SECRET: string },
  { logger, access = accessSecret }: { logger: Logger; access?: Access },
): Keyring {
  const secret = config.API_KEYS_SECRET;
  const canChange = secret.endsWith("/versions/latest");
  let holders = config.API_KEYS.map(toHolder);
  let readAtMs = performance.now();
  let reading: Promise<void> | undefined;
  return { find, findAgain };

  function find(sha256: Buffer): Caller | undefined {
    if (canChange && performance.now() - readAtMs > API_KEYS_READ.freshMs) void readAgain();
    return findKey(holders, sha256)?.caller;
  }

  function findAgain(sha256: Buffer): Promise<Caller | undefined> | undefined {
    const isRecent = performance.now() - readAtMs < API_KEYS_READ.pauseMs;
    if (!canChange || (isRecent && !reading)) return undefined;
    return readAgain().then(() => findKey(holders, sha256)?.caller);
  }

  /** Never fails. */
  function readAgain(): Promise<void> {
    reading ??= access(secret)
      .then((text) => {
        const parsed = apiKeys.safeParse(text);
        if (!parsed.success) throw new Error(`API_KEYS ${parsed.error.issues[0]?.message}`);
        if (parsed.data.length === 0) throw new Error("API_KEYS has no key");
        holders = parsed.data.map(toHolder);
      })
      .catch((error: Error) =>
        logger.warn("the API keys cannot be read again", { cause: error.message }),
      )
      .then(() => {
        readAtMs = performance.now();
        reading = undefined;
      });
    return reading;
  }
}

function toHolder({ name, sha256, scopes }: ApiKey) {
  return { sha256, caller: { principal: `key:${name}`, scopes } satisfies Caller };
}

/** Compares with every key in constant time, so that timing reveals nothing about any of them. */
function findKey<Key extends { sha256: Buffer }>(
  keys: readonly Key[],
  sha256: Buffer,
): Key | undefined {
  let found: Key | undefined;
  for (const key of keys) if (timingSafeEqual(key.sha256, sha256)) found = key;
  return found;
}
