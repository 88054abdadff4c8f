import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { synthesiseUnchecked } from "../synth.ts";
import type { Properties, Stacks } from "../terraform-json.ts";
import { settingsWith } from "../testing.ts";
import { checkWatching } from "./observability-checks.ts";

describe("synth refuses in what watches, whoever put it there,", () => {
  function faultsAfter(change: (stacks: Stacks) => void): string[] {
    const stacks = synthesiseUnchecked(settingsWith());
    assert.deepEqual(checkWatching(stacks), []);
    change(stacks);
    return checkWatching(stacks);
  }
  const made = ({ observability }: Stacks, type: string, id: string) =>
    observability.resource?.[type]?.[id] as Properties;
  const alert = (stacks: Stacks) =>
    made(stacks, "google_monitoring_alert_policy", "alert-BacklogOld");
  const PLACE = "iac/observability.ts, google_monitoring_alert_policy.alert-BacklogOld";

  function ask(query: string) {
    return faultsAfter((stacks) => {
      const [condition] = alert(stacks).conditions as [Record<string, Properties>];
      (condition.condition_prometheus_query_language as Properties).query = query;
    });
  }

  it("a query that would add up the metrics of every project that is seen", () => {
    assert.deepEqual(ask('max(all_requests{status="500"}) > 1'), [
      `${PLACE}: asks for all_requests without project_id, and so of every project.`,
    ]);
    assert.deepEqual(ask('max(all_requests{project_id="some-project"}) > 1'), []);
    const faults = faultsAfter((stacks) => {
      const dashboard = made(stacks, "google_monitoring_dashboard", "dashboard");
      const text = String(dashboard.dashboard_json);
      dashboard.dashboard_json = text.replace('{project_id=\\"some-project\\"}', "{}");
    });
    assert.match(String(faults), /dashboard: asks for all_requests without project_id/);
  });

  it("a log-based metric that nobody makes, or that is asked for as another kind", () => {
    const of = (name: string) =>
      ask(`max(logging_googleapis_com:user_constancia_${name}{project_id="some-project"}) > 1`);
    const fault = (name: string) => [
      `${PLACE}: asks for the log-based metric constancia_${name}, which is not made.`,
    ];
    assert.deepEqual(of("dead_messages"), []);
    assert.deepEqual(of("writes_missing_sum"), []);
    assert.deepEqual(of("dead"), fault("dead"));
    assert.deepEqual(of("dead_messages_sum"), fault("dead_messages_sum"));
    assert.deepEqual(of("writes_missing"), fault("writes_missing"));
    const faults = faultsAfter(
      (stacks) => delete stacks.observability.resource?.google_logging_metric?.["log-audits"],
    );
    assert.deepEqual(faults, [
      "iac/observability.ts, google_monitoring_slo.slo-durability: asks for the log-based metric" +
        " constancia_audits, which is not made.",
    ]);
  });

  it("an alert that tells nobody, or not what to do, or not how urgent it is", () => {
    const without = (argument: string, value?: unknown) =>
      faultsAfter((stacks) => (alert(stacks)[argument] = value));
    assert.deepEqual(without("notification_channels"), [`${PLACE}: has no notification channel.`]);
    assert.deepEqual(without("severity"), [`${PLACE}: does not say how urgent it is.`]);
    for (const documentation of [undefined, { content: "Look at it." }])
      assert.deepEqual(without("documentation", documentation), [
        `${PLACE}: names no section of docs/operations.md in its documentation.`,
      ]);
  });
});
