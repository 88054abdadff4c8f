import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, describe, it } from "node:test";
import { parse } from "yaml";
import {
  BURN_RATES,
  LEAST_BAD_EVENTS,
  OBJECTIVES,
  THRESHOLDS,
} from "../../iac/observability/objectives.ts";
import { readMonitoring, resolvePath } from "../support/monitoring.ts";

type Rule = { alert?: string; record?: string; expr: string; labels: Record<string, string> };

/** Each alert on a budget, its objective, and what it counts: the bad ones, and all. */
const BUDGETS = [
  ["WritesRefused", "availability", "writes_refused", "writes"],
  ["AnswersSlow", "answers", "answers_slow", "answers"],
  ["WritesNotSettling", "freshness", "writes_late", "writes_settled"],
] as const;

describe("the local alerts", () => {
  let rules: Rule[];

  before(async () => {
    const { groups } = parse(await readMonitoring("rules.yml"), { merge: true });
    rules = groups.flatMap(({ rules: all }: { rules: Rule[] }) => all);
  });

  it("judge by the objectives that hold in the cloud", () => {
    for (const [alert, objective, bad, all] of BUDGETS) {
      const budget = Number((1 - OBJECTIVES[objective].goal).toFixed(6));
      for (const severity of ["page", "ticket"] as const)
        for (const { rate, long, short } of BURN_RATES[severity]) {
          const share = (window: string) =>
            `increase(constancia:${bad}:sum[${window}]) / increase(constancia:${all}:sum[${window}])`;
          const expr = [
            `${share(long)} > ${rate} * ${budget}`,
            `${share(short)} > ${rate} * ${budget}`,
            `increase(constancia:${bad}:sum[${long}]) >= ${LEAST_BAD_EVENTS}`,
          ].join(" and ");
          const found = rules.find(
            (rule) => rule.alert === alert && rule.labels.window === long && rule.expr === expr,
          );
          assert.equal(found?.labels.severity, severity, `${alert} ${long}`);
        }
    }
    const getExpr = (name: string) => rules.find(({ record }) => record === name)?.expr ?? "";
    for (const [name, { withinSeconds }] of [
      ["constancia:answers_slow:sum", OBJECTIVES.answers],
      ["constancia:writes_late:sum", OBJECTIVES.freshness],
    ] as const)
      assert.ok(getExpr(name).includes(`le=~"${withinSeconds}([.]0)?"`), name);
    const standstill = rules.find(({ labels }) => labels?.window === "now")?.expr;
    assert.ok(standstill?.endsWith(`> ${THRESHOLDS.unsettledSeconds}`), standstill);
  });

  it("have a section each in the runbook", async () => {
    const runbook = await readFile(resolvePath("../docs/operations.md"), "utf8");
    for (const { alert } of rules)
      if (alert) assert.match(runbook, new RegExp(`^### ${alert}$`, "m"));
  });
});
