import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { LARGEST_DISK_GB } from "../platform/database.ts";
import { settingsWith } from "../testing.ts";
import { listAlertRules } from "./alert-rules.ts";
import { SYMPTOMS } from "./runbooks.ts";

/** Prometheus' program evaluates the queries of the alerts over test series. */
const PROMTOOL = process.env.PROMTOOL ?? "promtool";
const skip = spawnSync(PROMTOOL, ["--version"]).error && "there is no promtool";

const RULES = listAlertRules(settingsWith());
const PROJECT = 'project_id="some-project"';
const logged = (name: string, resource = "gae_app", more = "") =>
  `logging_googleapis_com:user_constancia_${name}{${PROJECT},monitored_resource="${resource}"${more}}`;
const requests = (status: number) => logged("write_requests", "gae_app", `,status="${status}"`);
const own = (name: string, more = "") => `${name}{${PROJECT}${more}}`;
const histogram = (
  name: string,
  bound: number,
  each: { all: string; inTime: string },
  more = "",
) => ({
  [own(`${name}_count`, more)]: each.all,
  [own(`${name}_bucket`, `${more},le="${bound}"`)]: each.inTime,
});
const lag = (all: string, inTime: string) =>
  histogram("constancia_write_lag_seconds", 5, { all, inTime });
const answers = (all: string, inTime: string) =>
  histogram(
    "http_server_request_duration_seconds",
    1,
    { all, inTime },
    ',http_route="/api/:collection",http_response_status_code="202"',
  );
const age = (name: string) =>
  `pubsub_googleapis_com:subscription_oldest_unacked_message_age{${PROJECT},subscription_id="${name}"}`;
const disk = (name: string) =>
  `cloudsql_googleapis_com:database_disk_${name}{${PROJECT},database_id="some-project:latam-database"}`;
const STILL = "0x10000";
/** Seldom, because three days are simulated, but within the longest `for` of a condition. */
const EVALUATED_EVERY = "15m";

type Case = {
  says: string;
  series: Record<string, string>;
  afterHours?: number;
  fires: string[];
};
const CASES: Case[] = [
  {
    says: "nothing if all is well",
    series: {
      [requests(202)]: "0+60x10000",
      ...lag("0+60x10000", "0+60x10000"),
      ...answers("0+60x10000", "0+60x10000"),
      [own("constancia_oldest_unsettled_write_seconds")]: "1x10000",
      [own("constancia_open_dead_letters")]: STILL,
      [logged("writes_accepted_sum")]: "0+60x10000",
      [logged("audits_clean", "global")]: "0+0.0166x10000",
      [logged("writes_missing_sum", "global")]: STILL,
      [logged("dead_messages")]: STILL,
      [logged("refused_logins")]: STILL,
      [age("constancia-writes-settle")]: "2x10000",
      [disk("bytes_used")]: "1000x10000",
      [disk("utilization")]: "0.5x10000",
    },
    fires: [],
  },
  {
    says: "refused writes, even without any accepted one",
    series: { [requests(503)]: "0+60x10000" },
    fires: ["WritesRefused", "WritesRefused-ticket"],
  },
  {
    says: "nothing with three requests, two of which failed",
    series: { [requests(503)]: "0 0 1 2x10000", [requests(202)]: "0 1x10000" },
    fires: [],
  },
  {
    says: "only a ticket for an incident that ended half an hour ago",
    series: { [requests(503)]: "0+60x150 9000x10000", [requests(202)]: "0x150 0+60x10000" },
    fires: ["WritesRefused-ticket"],
  },
  {
    says: "nothing that clients do wrong",
    series: { [requests(422)]: "0+60x10000", [requests(429)]: "0+60x10000" },
    fires: [],
  },
  {
    says: "a slow burn, only as a ticket",
    series: { [requests(503)]: "0+0.12x10000", [requests(202)]: "0+59.88x10000" },
    afterHours: 75,
    fires: ["WritesRefused-ticket"],
  },
  {
    says: "writes that settle late, one in five",
    series: lag("0+60x10000", "0+48x10000"),
    fires: ["WritesNotSettling", "WritesNotSettling-ticket"],
  },
  {
    says: "a write that does not settle, while no other does",
    series: { [own("constancia_oldest_unsettled_write_seconds")]: "0+60x10000" },
    afterHours: 1,
    fires: ["WritesNotSettling"],
  },
  {
    says: "slow answers, one in five",
    series: answers("0+60x10000", "0+48x10000"),
    fires: ["AnswersSlow", "AnswersSlow-ticket"],
  },
  {
    says: "a log-in that MySQL refuses",
    series: { [logged("refused_logins")]: "0+0x10 0+1x10000" },
    fires: ["LoginRefused"],
  },
  {
    says: "one missing write",
    series: { [logged("writes_missing_sum", "global")]: "0x100 1x10000" },
    afterHours: 2,
    fires: ["WritesMissing"],
  },
  {
    says: "audits that stopped while writes are accepted",
    series: {
      [logged("writes_accepted_sum")]: "0+1x10000",
      [logged("audits_clean", "global")]: "0+0.0166x60 1x10000",
    },
    afterHours: 8,
    fires: ["WritesMissing"],
  },
  {
    says: "nothing without audits and writes",
    series: { [logged("writes_accepted_sum")]: "7x10000" },
    afterHours: 8,
    fires: [],
  },
  {
    says: "an old backlog, also of dead letters",
    series: { [age("constancia-dead-letters-keep")]: "601x10000" },
    fires: ["BacklogOld"],
  },
  {
    says: "nothing of another subscription",
    series: { [age("somebody-elses")]: "90000x10000" },
    fires: [],
  },
  {
    says: "a disk near its maximum size",
    series: { [disk("bytes_used")]: `${0.81 * LARGEST_DISK_GB * 2 ** 30}x10000` },
    fires: ["DatabaseDiskFull"],
  },
  {
    says: "a disk that does not grow",
    series: { [disk("utilization")]: "0.96x10000", [disk("bytes_used")]: "1000x10000" },
    fires: ["DatabaseDiskFull"],
  },
  {
    says: "a dead letter until it is replayed",
    series: { [own("constancia_open_dead_letters")]: "1x10000" },
    fires: ["DeadLetters"],
  },
  {
    says: "a dead message while no process runs",
    series: { [logged("dead_messages")]: "0x150 1x10000" },
    fires: ["DeadLetters"],
  },
  {
    says: "nothing of another project",
    series: Object.fromEntries(
      Object.entries({
        [requests(503)]: "0+60x10000",
        [own("constancia_open_dead_letters")]: "1x10000",
        [age("constancia-writes-settle")]: "9000x10000",
        [logged("writes_missing_sum", "global")]: "0+1x10000",
      }).map(([name, values]) => [name.replace("some-project", "another"), values]),
    ),
    fires: [],
  },
];

describe("the alerts fire for", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "constancia-alerts-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const seen = new Set<string>();
  const rules = RULES.flatMap(({ symptom, conditions }) => {
    const alert = seen.has(symptom) ? `${symptom}-ticket` : symptom;
    seen.add(symptom);
    return conditions.map(({ name, query, forSeconds = 0 }) => ({
      alert,
      labels: { condition: name },
      expr: query,
      for: `${forSeconds}s`,
    }));
  });
  const names = [...new Set(rules.map(({ alert }) => alert))];
  const file = join(folder, "rules.json");
  writeFileSync(
    file,
    JSON.stringify({ groups: [{ name: "cloud", interval: EVALUATED_EVERY, rules }] }),
  );

  function promtool(...args: string[]): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { encoding: "utf8" });
    return { status, output: stdout + stderr };
  }

  it("PromQL that Prometheus accepts", () => {
    const { status, output } = promtool("check", "rules", file);
    assert.equal(status, 0, output);
  });

  for (const { says, series, afterHours = 3, fires } of CASES)
    it(says, () => {
      const test = {
        rule_files: [file],
        evaluation_interval: EVALUATED_EVERY,
        tests: [
          {
            interval: "1m",
            input_series: Object.entries(series).map(([name, values]) => ({
              series: name,
              values,
            })),
            // Which fire is asked of ALERTS, since the labels of a condition do not matter.
            promql_expr_test: names.map((name) => ({
              expr: `count(ALERTS{alertname="${name}",alertstate="firing"}) > bool 0`,
              eval_time: `${afterHours}h`,
              exp_samples: fires.includes(name) ? [{ labels: "{}", value: 1 }] : [],
            })),
          },
        ],
      };
      writeFileSync(join(folder, "test.json"), JSON.stringify(test));
      const { status, output } = promtool("test", "rules", join(folder, "test.json"));
      assert.equal(status, 0, output);
    });

  it("each alert in some case", () => {
    const fired = new Set(CASES.flatMap(({ fires }) => fires));
    for (const symptom of SYMPTOMS)
      if (symptom !== "ApiDown") assert.ok(fired.has(symptom), symptom);
  });
});
