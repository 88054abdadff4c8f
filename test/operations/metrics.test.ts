import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { openPool, query } from "../../common/database.ts";
import { createMetrics } from "../../common/telemetry/metrics.ts";
import { mintWriteId } from "../../common/write-id.ts";
import { KNOWN_METRICS } from "../../iac/observability/known-metrics.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient, publishByHand } from "../support/http.ts";
import { until } from "../support/until.ts";

/** Every series of a process, by its name with its labels. */
type Series = Map<string, number>;

async function read(url: string): Promise<Series> {
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 200);
  const lines = (await response.text()).split("\n").filter((line) => /^[a-z]/.test(line));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

describe("the metrics", () => {
  let environment: TestEnvironment;
  let url: string;
  let subscriberUrl: string;
  let api: Client;
  const apart = { METRICS_PORT: "0" };

  before(async () => {
    environment = await createTestEnvironment();
    ({ url } = await environment.startApi({ env: { METRICS: "on" } }));
    api = createClient(url);
  });
  after(() => environment.close());

  it("tell while nothing settles how many writes wait, and how old the oldest is", async () => {
    await api.post("/api/data", [{ nombre: "a" }, { nombre: "b" }]);
    await api.post("/api/data", { nombre: "c" });
    const series = await read(url);
    assert.equal(series.get('constancia_writes_accepted_total{collection="data"}'), 3);
    assert.equal(series.get("constancia_unsettled_writes"), 3);
    const age = series.get("constancia_oldest_unsettled_write_seconds") as number;
    assert.ok(age > 0 && age < 60, `${age} s`);
    await until(
      "it has grown older",
      async () => ((await read(url)).get("constancia_oldest_unsettled_write_seconds") ?? 0) > age,
    );
  });

  it("tell of both processes once the writes are settled", async () => {
    const subscriber = await environment.startSubscriber({ env: apart });
    subscriberUrl = `http://127.0.0.1:${subscriber.metricsPort}`;
    await until(
      "nothing waits",
      async () => (await read(url)).get("constancia_unsettled_writes") === 0,
    );
    const ofApi = await read(url);
    assert.equal(ofApi.get("constancia_oldest_unsettled_write_seconds"), 0);
    assert.ok((ofApi.get("constancia_watched_lag_seconds") as number) > 0);
    const labels = '{method="POST",route="/api/:collection",status="202"}';
    assert.equal(ofApi.get(`all_requests${labels}`), 2);
    assert.equal(
      ofApi.get(
        'http_server_request_duration_seconds_count{http_request_method="POST",' +
          'http_route="/api/:collection",http_response_status_code="202"}',
      ),
      2,
    );
    const ofSubscriber = await read(subscriberUrl);
    const settled = 'constancia_writes_settled_total{collection="data",outcome="applied"}';
    assert.equal(ofSubscriber.get(settled), 3);
    assert.equal(ofSubscriber.get("constancia_write_lag_seconds_count"), 3);
    assert.equal(ofSubscriber.get('constancia_write_lag_seconds_bucket{le="3600"}'), 3);
    for (const [series, batcher] of [
      [ofApi, "publish"],
      [ofApi, "read"],
      [ofSubscriber, "settle"],
    ] as const) {
      const of = `{batcher="${batcher}"}`;
      assert.ok((series.get(`constancia_batch_size_sum${of}`) as number) >= 3, batcher);
      assert.ok((series.get(`constancia_batch_duration_seconds_sum${of}`) as number) > 0, batcher);
      assert.equal(series.get(`constancia_queue_depth${of}`), 0, batcher);
    }
    for (const series of [ofApi, ofSubscriber]) {
      assert.ok(series.has('db_client_connection_count{state="used"}'));
      assert.ok((series.get('db_client_connection_count{state="idle"}') as number) > 0);
      assert.equal(series.get("db_client_connection_pending_requests"), 0);
      assert.ok((series.get("process_resident_memory_bytes") as number) > 0);
      assert.ok((series.get("nodejs_eventloop_lag_p99_seconds") as number) > 0);
    }
  });

  it("are those that the cloud's queries are checked against, with the same labels", async () => {
    const keys = [url, subscriberUrl].map(async (one) => [...(await read(one)).keys()]);
    const shown = new Map<string, Set<string>>();
    for (const key of (await Promise.all(keys)).flat()) {
      const [name = "", labels = ""] = key.split("{");
      const names = [...labels.matchAll(/(\w+)="/g)].map(([, label = ""]) => label);
      shown.set(name, new Set([...(shown.get(name) ?? []), ...names]));
    }
    const known = Object.entries(KNOWN_METRICS).filter(([name]) => !name.includes(":"));
    for (const [name, labels] of known) {
      // Google adds who says it.
      const own = labels.filter((label) => !["project_id", "job", "instance"].includes(label));
      assert.ok(shown.has(name), `${name} is not shown`);
      assert.deepEqual([...(shown.get(name) as Set<string>)].sort(), own.sort(), name);
    }
    const ours = [...shown.keys()].filter((name) => /^(all_|constancia_|http_|db_)/.test(name));
    assert.deepEqual(
      ours.filter((name) => !(name in KNOWN_METRICS)),
      [],
    );
  });

  it("tell how many connections of a pool are used, and how many requests wait", async () => {
    const pool = openPool({ mysqlUrl: new URL(environment.env.MYSQL_URL as string), poolSize: 2 });
    const { registry, watchPool } = createMetrics();
    watchPool(pool);
    const show = async () => {
      const text = await registry.metrics();
      return [...text.matchAll(/^db_client.* (\d+)$/gm)].map(([, value]) => Number(value));
    };
    assert.deepEqual(await show(), [0, 0, 0]);
    const connections = await Promise.all([pool.getConnection(), pool.getConnection()]);
    const waiting = [1, 2, 3].map(() => query(pool, "SELECT 1"));
    assert.deepEqual(await show(), [0, 2, 3]);
    connections[0].release();
    await Promise.all(waiting);
    assert.deepEqual(await show(), [1, 1, 0]);
    // A connection that is lost, then one that its borrower closes.
    const [lost] = await query(pool, "SELECT CONNECTION_ID() AS id");
    await query(environment.pool, `KILL ${lost?.id}`);
    await until("the lost one is gone", async () => `${await show()}` === "0,1,0");
    connections[1].destroy();
    await until("the closed one is gone", async () => `${await show()}` === "0,0,0");
    await pool.end();
  });

  it("count dead letters that are open", async () => {
    await publishByHand(environment, [{ attributes: {}, data: Buffer.from("no write") }]);
    await until("it is dead", async () => {
      const [row] = await query(environment.pool, "SELECT COUNT(*) AS dead FROM dead_letters");
      return Number(row?.dead) === 1;
    });
    const { metricsPort } = await environment.startSubscriber({ env: apart });
    const series = await read(`http://127.0.0.1:${metricsPort}`);
    assert.equal(series.get("constancia_open_dead_letters"), 1);
  });

  it("have no more series however many paths, methods and collections are asked for", async () => {
    const flood = async (name: string) => {
      const paths = Array.from({ length: 100 }, (_, index) => [
        `/${name}${index}`,
        `/api/${name}${index}`,
        `/api/data/${name}${index}`,
        `/api/data/${name}/writes/${index}`,
        `/api/data?${name}=${index}`,
        `/${name}/../%`,
      ]).flat();
      for (const path of paths) await api.get(path);
      for (const method of ["PROPFIND", "TRACE", "SEARCH", "LINK", "PATCH"])
        await fetchWith(url, method);
      const series = await read(url);
      return [...series.keys()].filter((key) => /^(all_requests|http_server|constancia)/.test(key));
    };
    await flood("first");
    const known = await flood("second");
    assert.deepEqual(await flood("third"), known);
    assert.ok(known.length < 500, `${known.length} series`);
    assert.ok(known.includes('all_requests{method="_OTHER",route="unmatched",status="404"}'));
  });

  it("count a request that its client gave up as 499", async () => {
    const path = `${url}/api/data/x?after=${mintWriteId()}`;
    const key = 'all_requests{method="GET",route="/api/:collection/:id",status="499"}';
    await until("it is counted", async () => {
      const signal = AbortSignal.timeout(100);
      await fetch(path, { headers: { prefer: "wait=30" }, signal }).catch(() => {});
      return ((await read(url)).get(key) ?? 0) > 0;
    });
  });

  it("are shown on a port of their own, and there alone, unless METRICS is on", async () => {
    const { url: own, metricsPort } = await environment.startApi({ env: apart });
    assert.equal((await fetch(`${own}/metrics`)).status, 404);
    assert.ok((await read(`http://127.0.0.1:${metricsPort}`)).has("process_start_time_seconds"));
    assert.equal((await fetch(`http://127.0.0.1:${metricsPort}/`)).status, 404);
    const { metricsPort: none } = await environment.startApi();
    assert.equal(none, undefined);
  });

  it("need the scope operate where the API has keys, also where it is public", async () => {
    const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");
    const API_KEYS = `monitor ${sha256("test")} operate\nother ${sha256("other")} *:read *:write`;
    const guarded = await environment.startApi({
      env: { METRICS: "on", ACCESS: "public", API_KEYS },
    });
    const get = (headers = {}) => fetch(`${guarded.url}/metrics`, { headers });
    assert.equal((await get()).status, 401);
    assert.equal((await get({ authorization: "Bearer test" })).status, 200);
    const refused = await get({ authorization: "Bearer other" });
    assert.equal(refused.status, 403);
    assert.match(refused.headers.get("www-authenticate") ?? "", /scope="operate"$/);
  });
});

/** fetch() refuses some methods. */
function fetchWith(url: string, method: string): Promise<void> {
  return new Promise((resolve, reject) => {
    request(`${url}/method`, { method }, (response) => response.resume().on("end", resolve))
      .on("error", reject)
      .end();
  });
}
