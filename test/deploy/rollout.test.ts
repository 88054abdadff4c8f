import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Collection } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import type { Running } from "../../common/process.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createClient } from "../support/http.ts";
import { createTables, newer, older } from "../support/releases.ts";
import { type AppEngine, buildAppEngine, QUICKLY } from "../support/stand-in-app-engine.ts";

const KEY = "k-0123456789abcdef";

describe("npm run rollout, on the real API", () => {
  let environment: TestEnvironment;
  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  it("tests a version on real servers, sends requests, and leaves no item", async (t) => {
    const API_KEYS = `rollout ${createHash("sha256").update(KEY).digest("hex")} *:read *:write`;
    const { url } = await environment.startApi({ env: { API_KEYS } });
    await environment.startSubscriber();
    const appEngine = await buildAppEngine({ realApis: { bbbbbbb: url, ccccccc: url } });
    t.after(() => appEngine.close());
    // Clients send nothing: all requests are the smoke test's and the program's own.
    appEngine.plan({ always: { requests: 0, settled: 0 } });
    const refused = await appEngine.run("--steps=100");
    assert.match(refused.err, /POST \/api\/data returned 401\. Set CONSTANCIA_API_KEY/);
    const args = [...QUICKLY, "--steps=100"];
    const { status, out, err } = await appEngine.start(args, { CONSTANCIA_API_KEY: KEY }).ended;
    assert.ok(!(out + err).includes(KEY));
    assert.equal(status, 0, err + out);
    assert.match(out, /sending 50 rounds of requests/);
    assert.match(out, /based on \d{3} requests and 100 settled writes/);
    for (const line of [
      "POST with Prefer: wait: 201",
      "PUT with If-Match and Prefer: wait: 200",
      "DELETE with Prefer: wait: 204",
    ])
      assert.ok(out.includes(line), line);
    const { body } = await createClient(url).get("/api/data");
    assert.deepEqual(body.data, []);
  });
});

describe("npm run rollout, of a release that changes the first collection", () => {
  let environment: TestEnvironment;
  let subscribers: SubscribersByTraffic;
  let appEngine: AppEngine;
  before(async () => {
    environment = await createTestEnvironment();
    await createTables(environment);
    const [olderApi, newerApi] = await Promise.all([
      environment.startApi({ collections: older }),
      environment.startApi({ collections: newer }),
    ]);
    subscribers = new SubscribersByTraffic(environment, { bbbbbbb: older, ccccccc: newer });
    appEngine = await buildAppEngine({
      realApis: { bbbbbbb: olderApi.url, ccccccc: newerApi.url },
      onTraffic: ({ subscriber }) => subscribers.follow(Object.keys(subscriber ?? {})),
    });
    subscribers.follow(["bbbbbbb"]);
  });
  after(async () => {
    appEngine.close();
    await subscribers.end();
    await environment.close();
  });

  const countLeft = async () => {
    const [row] = await query(
      environment.pool,
      "SELECT COUNT(*) AS items FROM orders WHERE deleted_at IS NULL",
    );
    return Number(row?.items);
  };

  it("rolls it back in reverse, and every write of its API is settled", async () => {
    appEngine.plan({
      always: { requests: 0, settled: 0 },
      figures: [{ service: "default", percent: 10, requests: 0, settled: 0, errors: 50 }],
    });
    const { status, err, out } = await appEngine.run("--steps=10,100");
    assert.equal(status, 1, out);
    assert.match(err, /^At 10 % of default: error ratio/);
    assert.deepEqual(appEngine.traffic().subscriber, { bbbbbbb: 100 });
    assert.equal(await countLeft(), 0);
  });

  it("rolls it out: both releases' requests are settled at every step", async () => {
    appEngine.plan({ always: { requests: 0, settled: 0 } });
    const { status, err, out } = await appEngine.run("--steps=10,100");
    assert.equal(status, 0, err + out);
    assert.equal(out.match(/sending 50 rounds of requests/g)?.length, 4);
    assert.deepEqual(appEngine.traffic().subscriber, { ccccccc: 100 });
    assert.equal(await countLeft(), 0);
    const dead = await query(environment.pool, "SELECT reason FROM dead_letters");
    assert.deepEqual(dead, []);
  });
});

/** Runs a subscriber of each release that has traffic, as App Engine does. */
class SubscribersByTraffic {
  readonly #environment: TestEnvironment;
  readonly #releases: Record<string, readonly Collection[]>;
  readonly #running = new Map<string, Running>();
  #last: Promise<void> = Promise.resolve();

  constructor(environment: TestEnvironment, releases: Record<string, readonly Collection[]>) {
    this.#environment = environment;
    this.#releases = releases;
  }

  /** Begins to start and stop subscribers, so that those of these commits run. */
  follow(commits: readonly string[]): void {
    this.#last = this.#last.then(() => this.#change(commits));
  }

  end(): Promise<void> {
    this.follow([]);
    return this.#last;
  }

  async #change(commits: readonly string[]): Promise<void> {
    for (const commit of commits) {
      if (this.#running.has(commit)) continue;
      const collections = this.#releases[commit] ?? assert.fail(`no release ${commit}`);
      this.#running.set(commit, await this.#environment.startSubscriber({ collections }));
    }
    for (const [commit, subscriber] of this.#running) {
      if (commits.includes(commit)) continue;
      this.#running.delete(commit);
      await subscriber.stop();
    }
  }
}
