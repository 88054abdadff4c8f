import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { HOLD_MS } from "../../common/limits.ts";
import { VARIABLES } from "../../common/variables.ts";
import { SLO } from "../../deploy/rollout/slo.ts";
import { DELIVERY_ATTEMPTS, RETRY } from "../service/pubsub.ts";
import { synthesiseUnchecked } from "../synth.ts";
import { listResources, type Properties } from "../terraform-json.ts";
import { settingsWith } from "../testing.ts";
import { HISTOGRAMS } from "./known-metrics.ts";
import {
  BURN_RATES,
  LOG_RETENTION_DAYS,
  OBJECTIVES,
  PERIOD_DAYS,
  THRESHOLDS,
} from "./objectives.ts";
import { RUNBOOKS, SYMPTOMS } from "./runbooks.ts";

const ROOT = new URL("../../", import.meta.url);
const DOCUMENT = readFileSync(new URL("docs/operations.md", ROOT), "utf8");
const HOURS: Record<string, number> = { m: 1 / 60, h: 1, d: 24 };
const parseHours = (window: string) => Number(window.slice(0, -1)) * (HOURS[window.slice(-1)] ?? 0);

describe("the objectives", () => {
  it("can be missed, and allow the burn rates", () => {
    for (const [name, { goal }] of Object.entries(OBJECTIVES)) {
      assert.ok(goal > 0.5 && goal <= 0.9999, name);
      const fastest = BURN_RATES.page[0].rate;
      assert.ok(fastest * (1 - goal) < 1, `${name} can never burn ${fastest} times too fast`);
    }
    const spent = [...BURN_RATES.page, ...BURN_RATES.ticket].map(({ rate, long, short }) => {
      assert.ok(
        Math.abs(parseHours(long) / parseHours(short) - 12) < 1e-9,
        "a twelfth, as in the SRE workbook",
      );
      return (rate * parseHours(long)) / (PERIOD_DAYS * 24);
    });
    assert.deepEqual(
      spent.map((share) => Math.round(share * 100)),
      [2, 5, 11],
    );
  });

  it("are measured at a bound of the histogram, and are no stricter than those of a rollout", () => {
    const bounds = (name: string) => HISTOGRAMS[name]?.bounds ?? assert.fail(name);
    const { answers, freshness } = OBJECTIVES;
    assert.ok(bounds("http_server_request_duration_seconds").includes(answers.withinSeconds));
    assert.ok(bounds("constancia_write_lag_seconds").includes(freshness.withinSeconds));
    assert.equal(answers.withinSeconds * 1_000, SLO.answerP99Ms);
    assert.ok(freshness.withinSeconds * 1_000 <= SLO.lagP99Ms);
    assert.deepEqual([answers.goal, freshness.goal], [0.99, 0.99]);
  });

  it("are the SLOs of Cloud Monitoring", () => {
    const stacks = synthesiseUnchecked(settingsWith());
    const slos = listResources(stacks, "google_monitoring_slo").map(({ properties }) => properties);
    assert.deepEqual(
      slos.map(({ slo_id, goal, rolling_period_days }) => [slo_id, goal, rolling_period_days]),
      Object.entries(OBJECTIVES).map(([name, { goal }]) => [name, goal, PERIOD_DAYS]),
    );
    const cuts = slos.flatMap(({ request_based_sli }) => {
      const { distribution_cut: cut } = request_based_sli as Properties;
      return cut ? [(cut as { range: { max: number } }).range.max] : [];
    });
    assert.deepEqual(cuts, [OBJECTIVES.answers.withinSeconds, OBJECTIVES.freshness.withinSeconds]);
  });

  it("of durability allow no failed audit", () => {
    const audits = PERIOD_DAYS * 24;
    assert.ok(audits * (1 - OBJECTIVES.durability.goal) < 1);
  });
});

describe("the thresholds", () => {
  it("are consistent with each other", () => {
    assert.equal(`${THRESHOLDS.backlogSeconds}s`, RETRY.maximumBackoff);
    assert.ok(THRESHOLDS.unsettledSeconds > OBJECTIVES.freshness.withinSeconds);
    assert.ok(THRESHOLDS.unsettledSeconds < THRESHOLDS.backlogSeconds);
    assert.ok(THRESHOLDS.diskShare < THRESHOLDS.diskNowShare);
    assert.ok(LOG_RETENTION_DAYS >= Number(VARIABLES.RECEIPT_RETENTION_DAYS.default));
  });
});

describe("docs/operations.md", () => {
  it("has the numbers of objectives.ts", () => {
    const { availability, answers, freshness } = OBJECTIVES;
    const rows = [
      `| availability | 99.9 % |`,
      `| answers | 99 % within ${answers.withinSeconds} s |`,
      `| freshness | 99 % within ${freshness.withinSeconds} s |`,
      "| durability | all |",
    ];
    assert.equal(availability.goal, 0.999);
    for (const row of rows) assert.ok(DOCUMENT.includes(row), row);
    for (const { rate, long, short } of [...BURN_RATES.page, ...BURN_RATES.ticket])
      assert.ok(DOCUMENT.includes(`${rate} times, ${long} and ${short}`), `${rate}`);
    for (const text of [
      `${PERIOD_DAYS} days`,
      `${THRESHOLDS.unsettledSeconds} s`,
      `${THRESHOLDS.backlogSeconds / 60} minutes`,
      `${THRESHOLDS.diskShare * 100} %`,
      `${THRESHOLDS.diskNowShare * 100} %`,
      `${LOG_RETENTION_DAYS} days`,
    ])
      assert.ok(DOCUMENT.includes(text), text);
  });

  it("says for how long a refused log-in makes no dead letters", () => {
    const [first, most] = [RETRY.minimumBackoff, RETRY.maximumBackoff].map(Number.parseFloat);
    let seconds = 0;
    for (let pause = first as number, given = 1; given < DELIVERY_ATTEMPTS; given += 1) {
      seconds += pause;
      pause = Math.min(2 * pause, most as number);
    }
    const hours = (holdMs: number) =>
      Math.floor((seconds + (DELIVERY_ATTEMPTS * holdMs) / 1_000) / 3_600);
    const sentence =
      `a pushed message has ${hours(HOLD_MS.push)} hours, and a pulled one, which is held for half an hour each` +
      ` time, ${hours(HOLD_MS.pull)}.`;
    assert.ok(DOCUMENT.replaceAll("\n", " ").includes(sentence), sentence);
  });

  it("has a section for each alert, most urgent first, with the alert's command", () => {
    const titles = [...DOCUMENT.matchAll(/^### (\w+)$/gm)].map(([, title = ""]) => title);
    assert.deepEqual(
      titles.filter((title) => (SYMPTOMS as readonly string[]).includes(title)),
      SYMPTOMS,
    );
    for (const symptom of SYMPTOMS) {
      const [, entry = ""] = DOCUMENT.split(`### ${symptom}\n`);
      const [text = ""] = entry.split("\n##");
      const [command = ""] = RUNBOOKS[symptom].command.split(" --project");
      assert.ok(text.includes(command), `${symptom} lacks ${command}`);
    }
  });

  it("and the alerts name existing npm scripts", () => {
    const { scripts } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8"));
    const texts = [DOCUMENT, ...Object.values(RUNBOOKS).flatMap(Object.values)];
    for (const text of texts)
      for (const [, name = ""] of text.matchAll(/npm run ([a-z][a-z:-]*)/g))
        assert.ok(name in scripts, `npm run ${name}`);
  });
});
