import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { settingsWith } from "../testing.ts";
import { listLogMetrics } from "./log-metrics.ts";

const METRICS = listLogMetrics(settingsWith());
const PROJECT = "projects/some-project";
const GAE = { resource: { type: "gae_app", labels: { module_id: "default" } } };
const says = (message: string, metadata: object) => ({
  ...GAE,
  logName: `${PROJECT}/logs/stdout`,
  jsonPayload: { message, metadata },
});
const audited = (payload: object) => ({
  resource: { type: "global" },
  logName: `${PROJECT}/logs/constancia-audit`,
  jsonPayload: { message: "audit finished", ...payload },
});
const asked = (method: string, resource: string, status: number) => ({
  ...GAE,
  logName: `${PROJECT}/logs/appengine.googleapis.com%2Frequest_log`,
  protoPayload: { method, resource, status },
});
/** Entries as Cloud Logging stores the lines of the processes, and the metrics that count them. */
const ENTRIES: [entry: object, counts: Record<string, number | undefined>][] = [
  [
    says("writes accepted", { count: 3, writes: [{ id: "a" }, { id: "b" }, { id: "c" }] }),
    { writes_accepted: 3 },
  ],
  [
    says("writes settled", { outcomes: { applied: 2, dead: 1 }, writes: [], durationMs: 4 }),
    { writes_settled_applied: 2, writes_settled_dead: 1 },
  ],
  [says("message is dead", { messageId: "7" }), { dead_messages: 1 }],
  [says("api started", { port: 8080 }), { instances_started: 1 }],
  [says("subscriber started", { delivery: "push" }), { instances_started: 1 }],
  [says("stopping", { signal: "SIGTERM" }), { instances_ended: 1 }],
  [says("stopped", {}), {}],
  [
    says("MySQL refuses the log-in", { code: "ER_ACCESS_DENIED_ERROR", refused: 1 }),
    { refused_logins: 1 },
  ],
  [
    says("publishing failed; it is not known whether the writes were accepted", {
      count: 2,
      writes: [{ id: "a" }, { id: "b" }],
    }),
    { unknown_fates: 2 },
  ],
  [says("settling waits for MySQL", { batch: 3 }), {}],
  [audited({ status: 0, missing: 0 }), { audits: 1, audits_clean: 1, writes_missing: 0 }],
  [audited({ status: 1, missing: 4 }), { audits: 1, writes_missing: 4 }],
  [audited({ status: 3 }), { audits: 1 }],
  [asked("POST", "/api/data", 503), { write_requests: 1 }],
  [asked("DELETE", "/api/data/x", 202), { write_requests: 1 }],
  [asked("GET", "/api/data/x", 200), {}],
  [asked("POST", "/push", 204), {}],
  [{ ...asked("POST", "/api/data", 204), resource: { type: "gae_app", labels: {} } }, {}],
];

describe("the log-based metrics", () => {
  it("count exactly the matching lines", () => {
    for (const [entry, counts] of ENTRIES) {
      const found = METRICS.filter(({ filter }) => filter.every((term) => holds(term, entry))).map(
        ({ name, value }) => [
          name.replace("constancia/", ""),
          value === undefined ? 1 : getField(entry, value),
        ],
      );
      assert.deepEqual(Object.fromEntries(found), counts);
    }
    const counted = new Set(ENTRIES.flatMap(([, counts]) => Object.keys(counts)));
    for (const { name } of METRICS)
      if (!/settled_(superseded|conflict|duplicate)$/.test(name))
        assert.ok(counted.has(name.replace("constancia/", "")), `no line is counted by ${name}`);
  });

  it("look for messages and fields that the code logs", () => {
    const files = [
      "api/publisher.ts",
      "subscriber/settle.ts",
      "common/mysql-login.ts",
      "common/process.ts",
      "api/main.ts",
      "subscriber/main.ts",
      "ops/audit-cloud.sh",
    ];
    const source = files
      .map((file) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"))
      .join("\n");
    for (const { filter } of METRICS)
      for (const term of filter) {
        const [, messages = ""] = /^jsonPayload\.message=(.+)$/.exec(term) ?? [];
        for (const [message] of messages.matchAll(/"[^"]+"/g))
          assert.ok(source.includes(message), message);
      }
    assert.match(source, /of describeWrites\(accepted\)\) logger\.info\("writes accepted", fields/);
    assert.match(
      source,
      /of describeWrites\(group.{1,120}"publishing failed; it is not.{1,200}\{ \.\.\.fields/s,
    );
    assert.match(source, /return \{ count: writes\.length, writes/);
    assert.match(source, /"writes settled", \{ outcomes, writes: /);
  });

  it("stay within Google's limits of text and labels", () => {
    for (const { filter, labels = {}, description } of METRICS) {
      assert.ok(filter.join("\nAND ").length <= 20_000);
      assert.ok(Object.keys(labels).length <= 10);
      assert.ok(description.length <= 8_000);
    }
  });
});

/** The few forms of Cloud Logging's query language that the filters use; any other is a mistake. */
function holds(term: string, entry: object): boolean {
  const [, path = "", operator = "", operand = ""] =
    /^([\w.]+)(=~|>=|=)(.+)$/.exec(term) ?? assert.fail(term);
  const value = getField(entry, path);
  if (value === undefined) return false;
  if (operator === ">=") return value >= Number(operand);
  const texts = [...operand.matchAll(/"([^"]*)"/g)].map(([, text = ""]) => text);
  if (operator === "=~") return new RegExp(texts[0] ?? assert.fail(term)).test(String(value));
  return texts.length === 0 ? value === Number(operand) : texts.includes(String(value));
}

function getField(entry: object, path: string): number | undefined {
  return path
    .split(".")
    .reduce<unknown>((value, name) => (value as Record<string, unknown>)?.[name], entry) as number;
}
