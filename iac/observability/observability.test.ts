import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ALERT_CONDITIONS } from "../../proof/scale/cost-model.ts";
import { synthesiseUnchecked } from "../synth.ts";
import { listResources, type Properties, type Stacks } from "../terraform-json.ts";
import { EVERYTHING, settingsWith } from "../testing.ts";
import { KNOWN_METRICS } from "./known-metrics.ts";
import { SYMPTOMS } from "./runbooks.ts";

const PUSH = synthesiseUnchecked(settingsWith());
const ALL = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));
const QUIET = synthesiseUnchecked(settingsWith({ environment: { isWatched: false } }));

type Policy = Properties & {
  display_name: string;
  severity: "CRITICAL" | "WARNING";
  conditions: { condition_prometheus_query_language?: { query: string } }[];
  documentation: { content: string; subject: string };
};
type Widget = {
  title: string;
  xyChart?: { dataSets: { timeSeriesQuery: { prometheusQuery: string } }[] };
};
type Dashboard = {
  displayName: string;
  mosaicLayout: {
    columns: number;
    tiles: { xPos: number; yPos: number; width: number; height: number; widget: Widget }[];
  };
};

const getPolicies = (stacks: Stacks) =>
  listResources(stacks, "google_monitoring_alert_policy").map(
    ({ properties }) => properties as Policy,
  );
const getDashboards = (stacks: Stacks): Dashboard[] =>
  listResources(stacks, "google_monitoring_dashboard").map(({ properties }) =>
    JSON.parse(String(properties.dashboard_json)),
  );

/** Every query of alerts and charts. */
function listQueries(stacks: Stacks): string[] {
  return [
    ...getPolicies(stacks).flatMap(({ conditions }) =>
      conditions.flatMap((one) => one.condition_prometheus_query_language?.query ?? []),
    ),
    ...getDashboards(stacks)
      .flatMap(({ mosaicLayout }) => mosaicLayout.tiles)
      .flatMap(({ widget }) => widget.xyChart?.dataSets ?? [])
      .map(({ timeSeriesQuery }) => timeSeriesQuery.prometheusQuery),
  ];
}

describe("every query", () => {
  const queries = [PUSH, ALL].flatMap(listQueries);
  const SELECTOR = /([a-zA-Z_:][\w:]*)\{([^}]*)\}/g;

  it("uses existing metrics and labels", () => {
    const logged = ["project_id", "monitored_resource", "status"];
    assert.ok(queries.length > 80);
    for (const query of queries)
      for (const [, name = "", matchers = ""] of query.matchAll(SELECTOR)) {
        const isLogged = name.startsWith("logging_googleapis_com:user_constancia_");
        const labels = isLogged ? logged : KNOWN_METRICS[name];
        assert.ok(labels, `${name} is not known: ${query}`);
        for (const [, label = ""] of matchers.matchAll(/(\w+)(?:=~|!~|!=|=)"/g))
          assert.ok(labels.includes(label), `${name} has no label ${label}`);
      }
  });

  it("groups by existing labels, and is well-formed PromQL", () => {
    const words = new Set(
      "sum max count by rate increase histogram_quantile min_over_time max_over_time and or unless le".split(
        " ",
      ),
    );
    for (const query of queries) {
      const [[, metric = ""] = []] = [...query.matchAll(SELECTOR)];
      for (const [, labels = ""] of query.matchAll(/by \(([^)]*)\)/g))
        for (const label of labels.split(", ")) {
          const known = KNOWN_METRICS[metric] ?? ["status", "project_id"];
          assert.ok([...known, "project_id"].includes(label), `${metric} has no label ${label}`);
          words.add(label);
        }
      const rest = query.replaceAll(SELECTOR, "").replaceAll(/\[\d+[smhd](:\d+[smhd])?\]/g, "");
      for (const [word = ""] of rest.matchAll(/[a-zA-Z_]\w*/g))
        assert.ok(words.has(word), `${word} in ${query}`);
      let depth = 0;
      for (const sign of rest) {
        depth += sign === "(" ? 1 : sign === ")" ? -1 : 0;
        assert.ok(depth >= 0, query);
      }
      assert.equal(depth, 0, query);
    }
  });

  it("queries only this project, except on the dashboard of the fleet", () => {
    const [own, fleet] = getDashboards(ALL);
    assert.match(JSON.stringify(fleet), /project_id=~\\"some-project\|another-project\\"/);
    assert.doesNotMatch(JSON.stringify([own, getPolicies(ALL)]), /another-project/);
  });
});

describe("the alerts", () => {
  it("are one for each symptom, and a second one for a slow burn", () => {
    const names = getPolicies(PUSH).map(({ display_name }) => display_name);
    assert.deepEqual(names.filter((name) => !name.includes(" ")).sort(), SYMPTOMS.toSorted());
    assert.deepEqual(
      names.filter((name) => name.includes(" ")),
      ["WritesRefused (ticket)", "WritesNotSettling (ticket)", "AnswersSlow (ticket)"],
    );
    const isTicket = (name: string) => name.endsWith("(ticket)") || name === "DeadLetters";
    for (const { display_name, severity, documentation } of getPolicies(PUSH)) {
      assert.equal(severity, isTicket(display_name) ? "WARNING" : "CRITICAL", display_name);
      const [symptom] = display_name.split(" ");
      assert.ok(documentation.subject.endsWith(`some-project: ${symptom}`));
      assert.ok(documentation.content.endsWith(`docs/operations.md, "${symptom}".`));
      assert.match(documentation.content, /Run first:\n\n {4}(npm run|gcloud) /);
      assert.doesNotMatch(documentation.content, /PROJECT/);
      // Google's limit, and no more than a person reads at night.
      assert.ok(documentation.content.length < 1_000);
    }
  });

  it("notify the given address, the given channel of Slack, or nobody", () => {
    const channel = listResources(PUSH, "google_monitoring_notification_channel")[0]?.properties;
    assert.match(String(channel?.count), /^\$\{\(?length\(var\.alert_email\) >= 1\)? \? 1 : 0\}$/);
    assert.deepEqual(channel?.labels, { email_address: "${var.alert_email}" });
    const { alert_email: email, alert_slack_channel: slack } = PUSH.observability.variable ?? {};
    assert.deepEqual([email?.default, slack?.default], ["", ""]);
    const [{ condition }] = (slack?.validation ?? [{}]) as [{ condition: string }];
    const [, form = ""] = /regex\("(.*)", var\.alert_slack_channel\)/.exec(condition) ?? [];
    for (const name of ["", "projects/some-project/notificationChannels/123"])
      assert.match(name, new RegExp(form));
    for (const name of ["#alerts", "projects/p/notificationChannels/", "xoxb-1"])
      assert.doesNotMatch(name, new RegExp(form));
    for (const { notification_channels } of getPolicies(PUSH))
      assert.equal(
        notification_channels,
        "${concat(google_monitoring_notification_channel.email[*].name, compact([var.alert_slack_channel]))}",
      );
  });

  it("do not require a metric to exist, and depend on isWatched", () => {
    for (const { conditions } of getPolicies(PUSH))
      for (const { condition_prometheus_query_language: condition } of conditions)
        if (condition) assert.equal((condition as Properties).disable_metric_validation, true);
    assert.equal(listResources(QUIET, "google_monitoring_uptime_check_config").length, 0);
    assert.ok(getPolicies(QUIET).every(({ display_name }) => display_name !== "ApiDown"));
    assert.match(JSON.stringify(getPolicies(PUSH)), /audits_clean/);
    assert.doesNotMatch(JSON.stringify(getPolicies(QUIET)), /audits_clean/);
  });

  it("are as many as the cost counts", () => {
    const { everyMinute, everyMinuteIfWatched, everyFiveMinutes } = ALERT_CONDITIONS;
    const quiet = { CRITICAL: everyMinute, WARNING: everyFiveMinutes };
    const watched = { ...quiet, CRITICAL: everyMinute + everyMinuteIfWatched };
    for (const [stacks, wanted] of [
      [PUSH, watched],
      [QUIET, quiet],
    ] as const) {
      const found = { CRITICAL: 0, WARNING: 0 };
      for (const { severity, conditions } of getPolicies(stacks))
        found[severity] += conditions.length;
      assert.deepEqual(found, wanted);
    }
  });

  it("check the API every minute from three regions, without side effects", () => {
    const [found] = listResources(PUSH, "google_monitoring_uptime_check_config");
    const check = found?.properties ?? assert.fail();
    const { path, request_method, validate_ssl } = check.http_check as Properties;
    assert.deepEqual([path, request_method, validate_ssl], ["/health/ready", "GET", true]);
    assert.equal(check.period, "60s");
    assert.ok((check.selected_regions as string[]).length >= 3);
    assert.deepEqual((check.monitored_resource as Properties).labels, {
      project_id: "some-project",
      host: "${data.terraform_remote_state.platform.outputs.hostname}",
    });
  });
});

describe("the dashboards", () => {
  it("show everything that an incident needs", () => {
    const [page] = getDashboards(PUSH);
    const titles = page?.mosaicLayout.tiles.map(({ widget }) => widget.title).join("\n") ?? "";
    const parts =
      "Traffic|Errors|Answer latency|Lag|Backlog, messages|Backlog, age|Batch size|Pool|Dead letters" +
      "|processor, memory and disk|connections|Conservation|incidents|three questions" +
      "|Instances of default|Instances of subscriber|started and ended";
    for (const part of parts.split("|")) assert.ok(titles.includes(part), part);
  });

  it("have tiles within the grid that do not overlap", () => {
    for (const { mosaicLayout } of getDashboards(ALL)) {
      const taken = new Set<string>();
      for (const { xPos, yPos, width, height } of mosaicLayout.tiles) {
        assert.ok(xPos + width <= mosaicLayout.columns);
        for (let x = xPos; x < xPos + width; x += 1)
          for (let y = yPos; y < yPos + height; y += 1) {
            assert.ok(!taken.has(`${x},${y}`));
            taken.add(`${x},${y}`);
          }
      }
    }
  });

  it("show the fleet only if the environment has one", () => {
    assert.equal(getDashboards(PUSH).length, 1);
    assert.deepEqual(
      getDashboards(ALL).map(({ displayName }) => displayName),
      ["Constancia, some-project", "Constancia, all systems"],
    );
    const [scope, ...others] = listResources(ALL, "google_monitoring_monitored_project");
    assert.equal(others.length, 0);
    assert.equal(scope?.stack, "platform");
    assert.deepEqual(
      [scope?.properties.metrics_scope, scope?.properties.name],
      ["locations/global/metricsScopes/some-project", "another-project"],
    );
  });
});
