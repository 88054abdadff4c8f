import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual, promisify } from "node:util";
import { parse } from "yaml";
import { addReceivers, hasten } from "../../monitoring/config.ts";
import {
  findMissingMonitoring,
  listAlerts,
  Monitoring,
  readMonitoring,
  resolvePath,
} from "../support/monitoring.ts";
import { until } from "../support/until.ts";

type Rule = {
  alert?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
};
type Case = { alert_rule_test?: { alertname: string; exp_alerts?: unknown[] }[] };

const run = promisify(execFile);
/** The names of the alerts; most are the same in the cloud (iac/). */
const ALERTS = [
  "AnswersSlow",
  "ApiDown",
  "DeadLetters",
  "LoginRefused",
  "MachineDiskFull",
  "MachineMemoryLow",
  "MysqlConnectionsFull",
  "MysqlDown",
  "SubscriberDown",
  "WritesMissing",
  "WritesNotSettling",
  "WritesRefused",
];

const skip = await findMissingMonitoring(console.log);

describe("the alerts", { skip }, () => {
  let monitoring: Monitoring;
  let alerts: Rule[];

  before(async () => {
    monitoring = await Monitoring.prepare();
    const { groups } = parse(await readMonitoring("rules.yml"), { merge: true });
    alerts = groups
      .flatMap(({ rules }: { rules: Rule[] }) => rules)
      .filter(({ alert }: Rule) => alert);
  });
  after(() => monitoring.close());

  it("and the configurations are valid for Prometheus and Alertmanager", async () => {
    const { promtool, amtool } = monitoring.programs;
    await run(promtool, ["check", "config", resolvePath("prometheus.yml")]);
    await run(promtool, ["check", "rules", resolvePath("rules.yml")]);
    await run(amtool, ["check-config", resolvePath("alertmanager.yml")]);
  });

  it("fire when they should and stay silent when they should", async () => {
    await run(monitoring.programs.promtool, ["test", "rules", resolvePath("rules.test.yml")]);
    const { tests } = parse(await readMonitoring("rules.test.yml"), { merge: true });
    const cases = tests.flatMap((one: Case) => one.alert_rule_test ?? []);
    for (const name of ALERTS) {
      const of = cases.filter(({ alertname }: { alertname: string }) => alertname === name);
      const fired = of.map(({ exp_alerts = [] }: { exp_alerts?: unknown[] }) => exp_alerts.length);
      assert.ok(
        fired.some((count: number) => count > 0),
        `${name} fires in no case`,
      );
      assert.ok(fired.includes(0), `${name} is silent in no case`);
    }
  });

  it("say how urgent they are, what is wrong and where the runbook is", () => {
    assert.deepEqual([...new Set(alerts.map(({ alert }) => alert))].sort(), ALERTS);
    for (const { alert = "", labels, annotations } of alerts) {
      assert.match(labels.severity ?? "", /^(page|ticket)$/, alert);
      assert.deepEqual(Object.keys(annotations), ["summary", "description", "runbook"], alert);
      assert.equal(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`);
    }
  });

  it("are the same with shortened durations", async () => {
    const rules = hasten(await readMonitoring("rules.yml"), 20);
    assert.match(rules, /max\(constancia_oldest_unsettled_write_seconds\) > 3\n +for: 6000ms/);
    assert.match(rules, /constancia:writes:sum\[180000ms\]/);
    assert.doesNotMatch(rules, /\[\d+[smhd]\]|for: \d+[smhd]$/m);
    const file = join(monitoring.folder, "hastened.yml");
    await writeFile(file, rules);
    await run(monitoring.programs.promtool, ["check", "rules", file]);
  });

  it("are not sent where another one says why", async () => {
    const alertmanager = await monitoring.startAlertmanager(
      await readMonitoring("alertmanager.yml"),
    );
    const given = [
      { alertname: "ApiDown", severity: "page" },
      { alertname: "WritesRefused", severity: "page" },
      { alertname: "WritesRefused", severity: "ticket" },
      { alertname: "AnswersSlow", severity: "page" },
      { alertname: "WritesNotSettling", severity: "page" },
      { alertname: "WritesNotSettling", severity: "ticket" },
      { alertname: "DeadLetters", severity: "ticket" },
      { alertname: "LoginRefused", severity: "page" },
      { alertname: "MysqlDown", severity: "page" },
    ];
    const response = await fetch(`${alertmanager}/api/v2/alerts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(given.map((labels) => ({ labels }))),
    });
    assert.equal(response.status, 200, await response.text());
    const expected = [
      "ApiDown page",
      "DeadLetters ticket",
      "LoginRefused page",
      "WritesNotSettling page",
    ];
    // Alertmanager decides what it inhibits only after it has answered.
    await until(`${expected} are sent, and nothing else`, async () => {
      const sent = (await listAlerts(alertmanager))
        .filter(({ status }) => status.state !== "suppressed")
        .map(({ labels }) => `${labels.alertname} ${labels.severity}`);
      return isDeepStrictEqual(sent.sort(), expected);
    });
  });

  it("are sent to the configured receivers, and nowhere else", async () => {
    const config = await readMonitoring("alertmanager.yml");
    assert.deepEqual(parse(config).receivers, [{ name: "people" }]);
    const url = "http://127.0.0.1:9/alerts";
    const folder = join(monitoring.folder, "compose");
    await mkdir(folder);
    await writeFile(join(folder, "in.yml"), config);
    const { services } = parse(await readFile(resolvePath("../compose.yaml"), "utf8"), {
      merge: true,
    });
    const [shell, options] = services.alertmanager.entrypoint;
    // What the container runs, up to the server itself.
    const script = services.alertmanager.command[0]
      .replaceAll("$$", "$")
      .replaceAll("/etc/alertmanager/alertmanager.yml", join(folder, "in.yml"))
      .replaceAll("/tmp/alertmanager.yml", join(folder, "out.yml"))
      .replace(
        "exec /bin/alertmanager",
        `exec ${monitoring.programs.amtool} check-config ${folder}/out.yml #`,
      );
    for (const [webhook, slack] of [
      [url, ""],
      ["", url],
      [url, "http://127.0.0.1:9/slack"],
      ["", ""],
    ]) {
      const env = { ...process.env, ALERT_WEBHOOK_URL: webhook, ALERT_SLACK_URL: slack };
      await run(shell, [options, script], { env });
      const expected = addReceivers(config, { webhook, slack });
      assert.equal(await readFile(join(folder, "out.yml"), "utf8"), expected);
    }
  });
});
