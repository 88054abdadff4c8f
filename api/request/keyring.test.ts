import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, before, beforeEach, describe, it, mock } from "node:test";
import { apiKeys } from "../../common/api-keys.ts";
import { API_KEYS_READ } from "../../common/limits.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { createTestLogger } from "../../test/support/logger.ts";
import { createKeyring, type Keyring } from "./keyring.ts";

const LATEST = "projects/p/secrets/keys/versions/latest";
const sha256 = (key: string) => createHash("sha256").update(key).digest();
const line = (name: string, key: string) => `${name} ${sha256(key).toString("hex")} *:read`;

describe("the API keys of a secret", () => {
  let logger: Logger;
  let held: string;
  let reads: number;
  before(async () => {
    logger = await createTestLogger();
  });
  let nowMs = 0;
  beforeEach(() => {
    [held, reads, nowMs] = [line("ana", "first"), 0, 1_000];
    mock.method(performance, "now", () => nowMs);
  });
  afterEach(() => mock.restoreAll());

  const access = async () => {
    reads += 1;
    if (held === "") throw new Error("Secret Manager answered 503");
    return held;
  };
  const open = (secret = LATEST): Keyring =>
    createKeyring({ API_KEYS: apiKeys.parse(held), API_KEYS_SECRET: secret }, { logger, access });
  const find = async (keyring: Keyring, key: string) =>
    (keyring.find(sha256(key)) ?? (await keyring.findAgain(sha256(key))))?.principal;

  it("are read again before an unknown key is refused, at most every ten seconds", async () => {
    const keyring = open();
    held += `\n${line("ana", "second")}`;
    assert.equal(await find(keyring, "second"), undefined, "they were read just now");
    assert.equal(reads, 0);
    nowMs += API_KEYS_READ.pauseMs;
    const together = await Promise.all(["second", "second", "wrong"].map((k) => find(keyring, k)));
    assert.deepEqual(together, ["key:ana", "key:ana", undefined]);
    assert.equal(await find(keyring, "wrong"), undefined);
    assert.equal(reads, 1);
    assert.equal(await find(keyring, "first"), "key:ana", "the older key is valid beside it");
  });

  it("are read again beside the requests once they are a minute old, and a removed key is refused", async () => {
    const keyring = open();
    held = line("ana", "second");
    nowMs += API_KEYS_READ.freshMs;
    assert.equal(keyring.find(sha256("first"))?.principal, "key:ana");
    assert.equal(reads, 0);
    nowMs += 1;
    assert.equal(keyring.find(sha256("first"))?.principal, "key:ana", "nobody waits for the read");
    assert.equal(await keyring.findAgain(sha256("first")), undefined);
    assert.equal(keyring.find(sha256("first")), undefined);
    assert.equal(reads, 1);
  });

  it("stay as they are where the secret cannot be read, is wrong or has none", async () => {
    const keyring = open();
    for (const [number, value] of ["", "no line", "\n"].entries()) {
      held = value;
      nowMs += API_KEYS_READ.freshMs + 1;
      assert.equal(await find(keyring, "wrong"), undefined);
      assert.equal(await find(keyring, "first"), "key:ana");
      assert.equal(reads, number + 1);
    }
  });

  it("are not read again where a numbered version or no secret holds them", async () => {
    for (const secret of ["", LATEST.replace("latest", "7")]) {
      const keyring = open(secret);
      nowMs += API_KEYS_READ.freshMs + 1;
      assert.equal(await find(keyring, "first"), "key:ana");
      assert.equal(await find(keyring, "wrong"), undefined);
    }
    assert.equal(reads, 0);
  });
});
