import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { synthesiseUnchecked } from "../synth.ts";
import type { Properties, Stacks } from "../terraform-json.ts";
import { settingsWith } from "../testing.ts";
import { checkObservability } from "./observability-checks.ts";

describe("synth refuses in the stack observability", () => {
  function faultsAfter(change: (stacks: Stacks) => void): string[] {
    const stacks = synthesiseUnchecked(settingsWith());
    assert.deepEqual(checkObservability(stacks), []);
    change(stacks);
    return checkObservability(stacks);
  }
  const getResource = ({ observability }: Stacks, type: string, id: string) =>
    observability.resource?.[type]?.[id] as Properties;
  const alert = (stacks: Stacks) =>
    getResource(stacks, "google_monitoring_alert_policy", "alert-BacklogOld");
  const PLACE = "iac/observability, google_monitoring_alert_policy.alert-BacklogOld";

  function ask(query: string) {
    return faultsAfter((stacks) => {
      const [condition] = alert(stacks).conditions as [Record<string, Properties>];
      (condition.condition_prometheus_query_language as Properties).query = query;
    });
  }

  it("a query that would add up the metrics of several projects", () => {
    assert.deepEqual(ask('max(all_requests{status="500"}) > 1'), [
      `${PLACE}: queries all_requests without project_id, and so for every project.`,
    ]);
    assert.deepEqual(ask('max(all_requests{project_id="some-project"}) > 1'), []);
    const faults = faultsAfter((stacks) => {
      const dashboard = getResource(stacks, "google_monitoring_dashboard", "dashboard");
      const text = String(dashboard.dashboard_json);
      dashboard.dashboard_json = text.replace('{project_id=\\"some-project\\"}', "{}");
    });
    assert.match(String(faults), /dashboard: queries all_requests without project_id/);
  });

  it("a log-based metric that does not exist, or is of another kind", () => {
    const of = (name: string) =>
      ask(`max(logging_googleapis_com:user_constancia_${name}{project_id="some-project"}) > 1`);
    const fault = (name: string) => [
      `${PLACE}: queries the log-based metric constancia_${name}, which does not exist.`,
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
      "iac/observability, google_monitoring_slo.slo-durability: queries the log-based metric" +
        " constancia_audits, which does not exist.",
    ]);
  });

  it("an alert that notifies nobody, has no runbook or no severity", () => {
    const without = (argument: string, value?: unknown) =>
      faultsAfter((stacks) => (alert(stacks)[argument] = value));
    assert.deepEqual(without("notification_channels"), [`${PLACE}: has no notification channel.`]);
    assert.deepEqual(without("severity"), [`${PLACE}: has no severity.`]);
    for (const documentation of [undefined, { content: "Look at it." }])
      assert.deepEqual(without("documentation", documentation), [
        `${PLACE}: does not refer to docs/operations.md in its documentation.`,
      ]);
  });
});
