import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { synthesiseUnchecked } from "../synth.ts";
import { listResources, type Properties, type Resource } from "../terraform-json.ts";
import { EVERYTHING, settingsWith } from "../testing.ts";
import { toVersion } from "./app-engine-version.ts";
import { checkMessage } from "./definitions.ts";
import { toMessage } from "./terraform-messages.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const RESOURCES = [{}, EVERYTHING].flatMap((environment) =>
  listResources(synthesiseUnchecked(settingsWith({ environment }))),
);
const HELD = [
  "google_cloud_run_v2_worker_pool",
  "google_monitoring_alert_policy",
  "google_monitoring_dashboard",
  "google_monitoring_notification_channel",
  "google_monitoring_slo",
  "google_monitoring_uptime_check_config",
  "google_pubsub_subscription",
  "google_pubsub_topic",
  "google_sql_database_instance",
];
const VERSION = "google.appengine.v1.Version";

describe("Google's own definitions", () => {
  it("have every field and value of the resources that they define", () => {
    const seen = new Set<string>();
    for (const resource of RESOURCES) {
      const faults = check(resource);
      if (faults === undefined) continue;
      seen.add(resource.type);
      assert.deepEqual(faults, [], resource.address);
    }
    assert.deepEqual([...seen].sort(), HELD);
  });

  it("have every key of app.yaml and subscriber.yaml", () => {
    for (const file of ["app.yaml", "subscriber.yaml"])
      assert.deepEqual(checkMessage("appengine-admin", VERSION, toVersion(readYaml(file))), []);
  });

  it("show what is broken in a resource", () => {
    const breaks: [type: string, change: (properties: Properties) => void, fault: RegExp][] = [
      [
        "google_monitoring_alert_policy",
        (policy) => (policy.severity = "URGENT"),
        /^AlertPolicy\.severity: "URGENT" is not a Severity\.$/,
      ],
      [
        "google_monitoring_alert_policy",
        ({ conditions }) =>
          (((conditions as Properties[])[0] ?? {}).condition_absent = {
            filter: "x",
            duration: "60s",
          }),
        /only one of conditionAbsent, conditionPrometheusQueryLanguage may be set \(condition\)/,
      ],
      [
        "google_monitoring_uptime_check_config",
        ({ http_check }) => ((http_check as Properties).use_tls = true),
        /^UptimeCheckConfig\.httpCheck\.useTls: there is no such field\.$/,
      ],
      [
        "google_monitoring_uptime_check_config",
        (uptime) => (uptime.timeout = "10 s"),
        /^UptimeCheckConfig\.timeout: "10 s" is not a google\.protobuf\.Duration\.$/,
      ],
      [
        "google_monitoring_slo",
        (slo) => (slo.goal = "0.999"),
        /^ServiceLevelObjective\.goal: "0\.999" is not a double\.$/,
      ],
      [
        "google_sql_database_instance",
        ({ settings }) => ((settings as Properties).disk_size_gb = 10),
        /^DatabaseInstance\.settings\.diskSizeGb: there is no such field\.$/,
      ],
      [
        "google_sql_database_instance",
        (database) => (database.database_version = "MYSQL_8_9"),
        /"MYSQL_8_9" is not a SqlDatabaseVersion/,
      ],
      [
        "google_cloud_run_v2_worker_pool",
        ({ template }) => ((template as Properties).containers = { image: "x" }),
        /^WorkerPool\.template\.containers: must be a list\.$/,
      ],
      [
        "google_cloud_run_v2_worker_pool",
        (pool) => delete pool.template,
        /^WorkerPool: template is required\.$/,
      ],
      [
        "google_pubsub_topic",
        (topic) => (topic.state = "ACTIVE"),
        /^Topic\.state: only Google sets it\.$/,
      ],
      [
        "google_monitoring_notification_channel",
        (channel) => (channel.labels = ["a@example.com"]),
        /^NotificationChannel\.labels: must be a map\.$/,
      ],
    ];
    for (const [type, change, fault] of breaks) {
      const resource = structuredClone(RESOURCES.find((one) => one.type === type) as Resource);
      change(resource.properties);
      const [found = "", ...others] = check(resource) ?? [];
      assert.match(found, fault);
      assert.deepEqual(others, []);
    }
  });

  it("show what is broken in a dashboard", () => {
    const dashboard = RESOURCES.find(({ type }) => type === "google_monitoring_dashboard");
    const text = String(dashboard?.properties.dashboard_json);
    const breaks: [string, string, RegExp][] = [
      ['"mosaicLayout"', '"mosaicLayouts"', /^Dashboard\.mosaicLayouts: there is no such field/],
      ['"prometheusQuery"', '"promqlQuery"', /timeSeriesQuery\.promqlQuery: there is no such/],
      ['"LINE"', '"LINES"', /plotType: "LINES" is not a PlotType/],
    ];
    for (const [good, bad, fault] of breaks) {
      assert.ok(text.includes(good), good);
      const broken = { dashboard_json: text.replaceAll(good, bad) };
      const [found = ""] = check({ ...(dashboard as Resource), properties: broken }) ?? [];
      assert.match(found, fault);
    }
  });

  it("show what is broken in an app.yaml", () => {
    const breaks: [(yaml: Properties) => void, RegExp][] = [
      [(yaml) => (yaml.instance_clas = "F2"), /^Version\.instanceClas: there is no such field/],
      [
        ({ automatic_scaling }) => ((automatic_scaling as Properties).max_concurent_requests = 8),
        /^Version\.automaticScaling\.maxConcurentRequests: there is no such field/,
      ],
      [(yaml) => (yaml.inbound_services = ["warm"]), /"INBOUND_SERVICE_WARM" is not a/],
      [(yaml) => (yaml.manual_scaling = { instances: 1 }), /only one of automaticScaling, manual/],
      [({ env_variables }) => ((env_variables as Properties).N = 5), /\["N"\]: 5 is not a string/],
    ];
    for (const [change, fault] of breaks) {
      const yaml = readYaml("app.yaml");
      change(yaml);
      assert.match(String(checkMessage("appengine-admin", VERSION, toVersion(yaml))), fault);
    }
  });
});

/** The faults of a resource; undefined where no definition is known for its type. */
function check(resource: Resource): string[] | undefined {
  const message = toMessage(resource);
  return message && checkMessage(message.package, message.type, message.value);
}

function readYaml(file: string): Properties {
  return parse(readFileSync(join(ROOT, file), "utf8"));
}
