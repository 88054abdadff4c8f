import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type ApiKey, apiKeys } from "../../common/api-keys.ts";
import { runInProcess } from "../../test/support/commands.ts";
import { installStandInSecretManager } from "../../test/support/stand-in-secret-manager.ts";
import { createKeys } from "./main.ts";

const LINES = "constancia-api-keys";
const ROLLOUT = "constancia-rollout-key";

describe("npm run ops -- keys", () => {
  let folder: string;
  let root: string | undefined;
  let manager: ReturnType<typeof installStandInSecretManager>;
  beforeEach(() => {
    root = undefined;
    folder = mkdtempSync(join(tmpdir(), "keys-"));
    manager = installStandInSecretManager(folder, [LINES, ROLLOUT]);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const run = (...args: string[]) =>
    runInProcess(createKeys(root), ["staging", ...args], {
      env: { PATH: `${folder}:/usr/bin:/bin` },
    });
  async function getOutput(...args: string[]): Promise<string> {
    const { status, out, err } = await run(...args);
    assert.deepEqual([status, err], [0, ""]);
    return out.trim();
  }
  /** The keys that an API would take that reads the latest version. */
  const readValid = (): ApiKey[] => apiKeys.parse(manager.values(LINES).at(-1) ?? "");
  const findHolder = (key: string) => {
    const sha256 = createHash("sha256").update(key).digest();
    return readValid().find((one) => one.sha256.equals(sha256));
  };

  it("creates a key with its scopes, and stores its hash alone", async () => {
    const key = await getOutput("create", "ana", "*:read", "data:write");
    assert.match(key, /^constancia_[\w-]{43}$/);
    const holder = findHolder(key);
    assert.deepEqual(
      [holder?.name, [...(holder?.scopes ?? [])]],
      ["ana", ["*:read", "data:write"]],
    );
    const stored = [...manager.values(LINES), manager.calls()].join();
    assert.ok(!stored.includes(key));
    assert.match(
      await getOutput("list"),
      /^ana {19}[0-9a-f]{8}… {2}\*:read data:write\nversion 1$/,
    );
  });

  it("rotates a key: the one before stays valid until the next rotation, or until it is retired", async () => {
    const keys = [
      await getOutput("create", "ana", "*:read"),
      await getOutput("create", "b", "operate"),
    ];
    for (let time = 1; time <= 3; time += 1) {
      keys.push(await getOutput("rotate", "ana"));
      const [older = "", newer = ""] = keys.filter((_, index) => index !== 1).slice(-2);
      const holders = [findHolder(older), findHolder(newer)].map((one) => one?.name);
      assert.deepEqual(holders, ["ana", "ana"]);
      assert.equal(readValid().filter(({ name }) => name === "ana").length, 2);
    }
    await getOutput("retire", "ana");
    assert.equal(findHolder(keys.at(-1) ?? "")?.name, "ana");
    assert.deepEqual(
      readValid().map(({ name }) => name),
      ["b", "ana"],
    );
    await getOutput("remove", "ana");
    assert.deepEqual(
      readValid().map(({ name }) => name),
      ["b"],
    );
  });

  it("gives the deploys a key of their own, the same each time, also once it is rotated", async () => {
    for (const file of ["app.yaml", "subscriber.yaml", "cron.yaml"]) {
      const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
      writeFileSync(join(folder, file), text.replace("# API_KEYS_SECRET:", "API_KEYS_SECRET:"));
    }
    root = folder;
    const provide = () => getOutput("rollout");
    const first = await provide();
    assert.deepEqual([...(findHolder(first)?.scopes ?? [])], ["*:read", "*:write"]);
    assert.equal(await provide(), first);
    assert.equal(await getOutput("rotate", "rollout"), "", "it is stored, so nobody has to see it");
    const second = await provide();
    assert.notEqual(second, first);
    assert.equal(findHolder(second)?.name, "rollout");
    assert.equal(findHolder(first)?.name, "rollout", "a rollout that runs goes on with the first");
    await getOutput("create", "ana", "*:read");
    await getOutput("remove", "rollout");
    const third = await provide();
    assert.equal(findHolder(third)?.name, "rollout", "a removed key is replaced");
    assert.equal(findHolder(second), undefined);
  });

  it("prints no key of the deploys where app.yaml requires none", async () => {
    assert.equal(await getOutput("rollout"), "");
    assert.equal(manager.calls(), "");
  });

  it("refuses what would lose a key or shut everybody out, and changes nothing", async () => {
    await getOutput("create", "ana", "*:read");
    const refused: [string[], RegExp][] = [
      [["create", "ana", "*:read"], /^ana has a key already; use rotate/],
      [["create", "Ana", "*:read"], /^The name "Ana" must be/],
      [["create", "b"], /^Give at least one scope/],
      [["create", "b", "all"], /^"all" is not a scope/],
      [["create", "rollout", "*:read"], /^The first deploy that needs the key/],
      [["rotate", "nobody"], /^There is no key with the name "nobody"/],
      [["remove", "ana"], /^The last key cannot be removed/],
      [["list", "ana"], /^list is not followed by what it needs/],
      [["rotate"], /^rotate is not followed by what it needs/],
      [["forget"], /^There is no command "forget"/],
    ];
    for (const [args, sentence] of refused) {
      const { status, out, err } = await run(...args);
      assert.deepEqual([status, out], [2, ""], args.join(" "));
      assert.match(err, sentence);
    }
    assert.equal(manager.values(LINES).length, 1);
  });

  it("says that another person wrote the keys at the same time, and prints no key", async () => {
    await getOutput("create", "ana", "*:read");
    manager.race();
    const { status, out, err } = await run("create", "b", "*:read");
    assert.deepEqual([status, out], [1, ""]);
    assert.match(err, /^Another person wrote constancia-api-keys .* versions since 1\.\n$/);
  });

  it("reports what gcloud says", async () => {
    rmSync(join(folder, "secrets", LINES), { recursive: true });
    const { status, out, err } = await run("create", "ana", "*:read");
    assert.deepEqual([status, out], [1, ""]);
    assert.match(err, /^gcloud secrets versions add failed: ERROR: .* NOT_FOUND: Secret/);
  });
});
