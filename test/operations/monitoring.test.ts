import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import type { Running } from "../../common/process.ts";
import { findAnyPort } from "../../local/ports.ts";
import { adaptPrometheus, addReceivers, hasten } from "../../monitoring/config.ts";
import { type Dashboard, listMetrics, listQueries } from "../support/dashboards.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient } from "../support/http.ts";
import {
  ask,
  findMissingMonitoring,
  listAlerts,
  Monitoring,
  metricsIn,
  readMonitoring,
  resolvePath,
} from "../support/monitoring.ts";
import { until } from "../support/until.ts";

/** What Alertmanager posts to an incoming webhook of Slack's. */
type SlackMessage = { attachments: { title: string; text: string; color: string }[] };
type Notification = { alerts: { status: string; labels: Record<string, string> }[] };

/** An alert `for` a minute fires after 3 s, one for five minutes after 15 s. */
const TIMES_FASTER = 20;
const PACE = "1s";
/** Alerts depend on time that passes; this is for a machine that is busy with other work. */
const DEADLINE_SECONDS = 180;
const OURS = /^(constancia_|all_requests|http_server_|db_client_)/;
/** Prometheus makes them itself. */
const OF_PROMETHEUS = ["up", "ALERTS"];
/** What is exported and shown nowhere, and why. */
const UNUSED: Record<string, string> = {};
/** Panels that are empty while all is well, or without Docker. */
const MAY_BE_EMPTY = ["Alerts that fire", "Containers: memory"];
/** cAdvisor's, which only Docker runs. */
const OF_CONTAINERS = ["container_memory_working_set_bytes"];

const skip = await findMissingMonitoring(console.log);

describe("the monitoring of a running environment", { skip }, () => {
  let environment: TestEnvironment;
  let monitoring: Monitoring;
  let prometheus: string;
  let alertmanager: string;
  let client: Client;
  let subscriber: Running;
  let hook: Server;
  const told: Notification["alerts"] = [];
  const slackMessages: SlackMessage["attachments"] = [];
  let exporters: { mysql: string; machine: string };
  const ports = { api: 0, subscriber: 0 };
  const formatAddress = (name: keyof typeof ports) => `127.0.0.1:${ports[name]}`;
  const startSubscriber = () =>
    environment.startSubscriber({ env: { METRICS_PORT: String(ports.subscriber) } });

  before(async () => {
    [monitoring, environment] = await Promise.all([Monitoring.prepare(), createTestEnvironment()]);
    ports.api = await findAnyPort();
    ports.subscriber = await findAnyPort();
    const api = await environment.startApi({ env: { METRICS_PORT: String(ports.api) } });
    client = createClient(api.url);
    subscriber = await startSubscriber();
    hook = createServer(async (request, response) => {
      const body = await json(request);
      if (request.url === "/slack") slackMessages.push(...(body as SlackMessage).attachments);
      else told.push(...(body as Notification).alerts);
      response.end("ok");
    }).listen(0, "127.0.0.1");
    await once(hook, "listening");
    const hookUrl = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`;
    const receivers = { webhook: hookUrl, slack: `${hookUrl}/slack` };
    const routes = addReceivers(await readMonitoring("alertmanager.yml"), receivers);
    alertmanager = await monitoring.startAlertmanager(hasten(routes, TIMES_FASTER));
    exporters = await monitoring.startExporters(new URL(environment.env.MYSQL_URL ?? ""));
    const addresses = {
      ...exporters,
      api: formatAddress("api"),
      subscriber: formatAddress("subscriber"),
      alertmanager: alertmanager.replace("http://", ""),
    };
    prometheus = await monitoring.startPrometheus(
      adaptPrometheus(await readMonitoring("prometheus.yml"), addresses, PACE),
      hasten(await readMonitoring("rules.yml"), TIMES_FASTER),
    );
  });
  after(async () => {
    await monitoring.close();
    hook.close();
    await environment.close();
  });

  const create = () => client.post("/api/data", { nombre: "Seen" }, { prefer: "wait=30" });
  const queryNumber = async (query: string) => Number((await ask(prometheus, query))[0]?.value[1]);

  it("finds both processes, what is beside them, and a write in their metrics", async () => {
    assert.equal((await create()).status, 201);
    for (const [query, value] of [
      ['up{job="api"}', 1],
      ['up{job="subscriber"}', 1],
      ["mysql_up", 1],
      ['up{job="machine"}', 1],
      ['constancia_writes_accepted_total{collection="data"}', 1],
      ['constancia_writes_settled_total{collection="data", outcome="applied"}', 1],
      ['all_requests{method="POST", route="/api/:collection", status="201"}', 1],
    ] as const)
      await until(`${query} is ${value}`, async () => (await queryNumber(query)) === value);
  });

  it("evaluates every rule, and finds nothing missing", async () => {
    type Rules = { data: { groups: { rules: { name: string; health: string }[] }[] } };
    const read = async () => {
      const response = await fetch(`${prometheus}/api/v1/rules`);
      return ((await response.json()) as Rules).data.groups.flatMap(({ rules }) => rules);
    };
    await until("every rule was evaluated", async () =>
      (await read()).every(({ health }) => health !== "unknown"),
    );
    const bad = (await read()).filter(({ health }) => health !== "ok");
    assert.deepEqual(bad, []);
    // The others depend on speed, and a machine that is busy with other tests may be slow.
    const severe = ["DeadLetters", "WritesMissing", "WritesRefused"];
    const names = (await listAlerts(alertmanager)).map(({ labels }) => labels.alertname ?? "");
    assert.deepEqual(
      names.filter((name) => severe.includes(name)),
      [],
    );
  });

  describe("the dashboards", () => {
    const dashboards: Dashboard[] = [];
    let exported = new Set<string>(OF_CONTAINERS);
    let recorded: string[];
    let ruleMetrics: string[];

    before(async () => {
      for (const file of await readdir(resolvePath("grafana/dashboards")))
        dashboards.push(JSON.parse(await readMonitoring(`grafana/dashboards/${file}`)));
      const readMetrics = async (address: string) =>
        metricsIn(await (await fetch(`http://${address}/metrics`)).text());
      const addresses = [formatAddress("api"), formatAddress("subscriber")];
      for (const address of [...addresses, exporters.mysql, exporters.machine])
        exported = exported.union(await readMetrics(address));
      type Rule = { record?: string; expr: string };
      const { groups } = parse(await readMonitoring("rules.yml"), { merge: true });
      const rules: Rule[] = groups.flatMap(({ rules: all }: { rules: Rule[] }) => all);
      recorded = rules.flatMap(({ record }) => record ?? []);
      ruleMetrics = rules.flatMap(({ expr }) => listMetrics(expr));
    });

    it("have valid queries, whose results have the labels of their legends", async () => {
      assert.equal(dashboards.length, 1);
      assert.equal((await client.get("/api/data")).status, 200);
      for (const { panel, expr, legendLabels } of dashboards.flatMap(listQueries)) {
        const isAnswered = async () => (await ask(prometheus, expr)).length > 0;
        if (MAY_BE_EMPTY.includes(panel)) await ask(prometheus, expr);
        else await until(`${panel}: ${expr}`, isAnswered);
        for (const { metric } of await ask(prometheus, expr))
          for (const label of legendLabels) assert.ok(metric[label], `${panel}: ${label}`);
      }
    });

    it("and the rules query only metrics that are exported", () => {
      const named = [...dashboards.flatMap(listQueries).flatMap(({ expr }) => listMetrics(expr))];
      const known = exported.union(new Set([...recorded, ...OF_PROMETHEUS]));
      assert.deepEqual(
        [...named, ...ruleMetrics].filter((name) => !known.has(name)),
        [],
      );
    });

    it("or the rules use every metric that is exported", () => {
      const named = new Set(
        dashboards.flatMap(listQueries).flatMap(({ expr }) => listMetrics(expr)),
      );
      const used = named.union(new Set(ruleMetrics));
      const isUsed = (name: string) => [...used].some((one) => toBaseName(one) === name);
      const own = [...exported].filter((name) => OURS.test(name) && toBaseName(name) === name);
      assert.ok(own.length >= 12, own.join());
      assert.deepEqual(
        own.filter((name) => !isUsed(name)),
        Object.keys(UNUSED),
      );
      /** A histogram's own name, of one of its parts. */
      function toBaseName(name: string): string {
        const base = name.replace(/_(bucket|sum|count)$/, "");
        return exported.has(base) ? base : name;
      }
    });

    it("have panels that do not overlap and fit the screen", () => {
      for (const { panels } of dashboards) {
        const taken = new Set<string>();
        for (const { title, type, gridPos, datasource } of panels) {
          const { x, y, w, h } = gridPos;
          assert.ok(x + w <= 24, title);
          if (type !== "row") assert.equal(datasource?.uid, "prometheus", title);
          for (let column = x; column < x + w; column += 1)
            for (let line = y; line < y + h; line += 1) {
              assert.ok(!taken.has(`${column},${line}`), title);
              taken.add(`${column},${line}`);
            }
        }
      }
    });
  });

  it("notifies when the subscriber stops, and again when it is back", async () => {
    // Not the alert on the error budget, which stays spent for a while.
    const isMeant = ({ alertname, window = "now" }: Record<string, string>, name: string) =>
      alertname === name && window === "now";
    const isActive = async (name: string) =>
      (await listAlerts(alertmanager)).some(
        ({ labels, status }) => isMeant(labels, name) && status.state === "active",
      );
    const isTold = (name: string, status: string) =>
      told.some((alert) => isMeant(alert.labels, name) && alert.status === status);
    await subscriber.stop();
    const { status, body } = await client.post("/api/data", { nombre: "Waits" });
    assert.equal(status, 202);
    await until("WritesNotSettling fires", () => isActive("WritesNotSettling"), DEADLINE_SECONDS);
    await until("SubscriberDown fires", () => isActive("SubscriberDown"), DEADLINE_SECONDS);
    await until(
      "the webhook is notified",
      () => isTold("WritesNotSettling", "firing"),
      DEADLINE_SECONDS,
    );
    const onSlack = (title: RegExp) => slackMessages.find((one) => title.test(one.title));
    const firing = /^\[FIRING:\d+\] WritesNotSettling\b/;
    await until("Slack is notified", () => onSlack(firing) !== undefined, DEADLINE_SECONDS);
    assert.match(
      onSlack(firing)?.text ?? "",
      /^The oldest accepted write has waited for .* docs\/operations\.md#writesnotsettling$/,
    );
    subscriber = await startSubscriber();
    for (const name of ["WritesNotSettling", "SubscriberDown"])
      await until(`${name} is over`, async () => !(await isActive(name)), DEADLINE_SECONDS);
    await until(
      "the webhook is told of the end",
      () => isTold("WritesNotSettling", "resolved"),
      DEADLINE_SECONDS,
    );
    const resolved = /^\[RESOLVED\] WritesNotSettling\b/;
    await until("Slack is told of the end", () => Boolean(onSlack(resolved)), DEADLINE_SECONDS);
    assert.equal((await client.get(`/api/data/${body.id}`)).status, 200);
  });
});
