import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parser } from "@prometheus-io/lezer-promql";
import { parse } from "yaml";
import { listQueries } from "../../test/support/dashboards.ts";
import { synthesiseUnchecked } from "../synth.ts";
import { listResources } from "../terraform-json.ts";
import { EVERYTHING, settingsWith } from "../testing.ts";

const MONITORING = join(import.meta.dirname, "..", "..", "monitoring");
/** The keys under which a query stands, on Google Cloud, in Prometheus's rules and in their tests. */
const KEYS = ["query", "prometheusQuery", "expr"];

describe("Prometheus's own grammar", () => {
  it("has every query of the alerts and dashboards on Google Cloud", () => {
    const stacks = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));
    const types = ["google_monitoring_alert_policy", "google_monitoring_dashboard"];
    const queries = listResources(stacks, ...types).flatMap(({ properties }) =>
      collect(properties),
    );
    assert.ok(queries.length > 30, String(queries.length));
    for (const query of queries) assert.equal(findFault(query), undefined, query);
  });

  it("has every query of the rules, their tests and the dashboard in monitoring/", () => {
    const read = (file: string) => readFileSync(join(MONITORING, file), "utf8");
    const ruled = ["rules.yml", "rules.test.yml"].map((file) => collect(parse(read(file))));
    const dashboard = JSON.parse(read("grafana/dashboards/constancia.json"));
    const shown = listQueries(dashboard).map(({ expr }) => expr);
    for (const queries of [...ruled, shown]) {
      assert.ok(queries.length > 0);
      for (const query of queries) assert.equal(findFault(query), undefined, query);
    }
  });

  it("shows what is broken in a query", () => {
    for (const broken of [
      "sum(rate(writes[5m])",
      "sum by (le (writes)",
      "rate(writes[5 minutes])",
      'writes{status="500}',
      "writes > > 1",
      "",
    ])
      assert.notEqual(findFault(broken), undefined, broken);
  });
});

/** Where the query cannot be parsed. */
function findFault(query: string): number | undefined {
  if (query.trim() === "") return 0;
  const tree = parser.configure({ top: "PromQL" }).parse(query);
  let fault: number | undefined;
  tree.iterate({
    enter({ type, from }) {
      if (type.isError) fault ??= from;
    },
  });
  return fault;
}

/** Every query within a value; a dashboard is a text of JSON. */
function collect(value: unknown, key = ""): string[] {
  if (typeof value === "string" && value.startsWith('{"')) return collect(JSON.parse(value));
  if (typeof value === "string") return KEYS.includes(key) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((one) => collect(one));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => collect(one, name));
}
