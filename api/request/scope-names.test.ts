import assert from "node:assert/strict";
import { test } from "node:test";
import { collections } from "../../collections/collections.ts";
import { apiKeys } from "../../common/api-keys.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { warnOfUnknownScopes } from "./scope-names.ts";

test("a scope of a collection that there is not has a warning with its holder", () => {
  const warnings: unknown[][] = [];
  const logger = { warn: (...line: unknown[]) => warnings.push(line) } as unknown as Logger;
  const [typo, good] = ["0", "1"].map((digit) => digit.repeat(64));
  const API_KEYS = apiKeys.parse(
    `typo ${typo} datta:read data:write\ngood ${good} *:read data:write-any operate`,
  );
  warnOfUnknownScopes({ API_KEYS, OIDC_ISSUERS: [] }, collections, logger);
  assert.deepEqual(warnings, [
    [
      "scopes name a collection that there is not; they permit nothing",
      { holder: "typo", scopes: ["datta:read"] },
    ],
  ]);
});
