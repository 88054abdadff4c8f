import type { Properties, Resource } from "../terraform-json.ts";
import type { DefinitionPackage } from "./definitions.ts";

/** A resource as the message that Terraform's provider sends for it. */
export type Message = { package: DefinitionPackage; type: string; value: unknown };

/** Arguments of Terraform itself, and the parent that is part of the address. */
const OWN_ARGUMENTS = ["count", "depends_on", "lifecycle", "project"];
/** Maps, whose keys are data and not names of fields. */
const MAPS = ["labels", "limits", "user_labels"];

/** Arguments by the names of the fields that they become; `undefined` where the API has none. */
type Names = Record<string, string | undefined>;

/**
 * The message for a resource; undefined for a type that is not in the table. Most names differ only in
 * their case; the table has the others, from the provider's documentation.
 */
export function toMessage({ type, properties }: Resource): Message | undefined {
  switch (type) {
    case "google_monitoring_alert_policy":
      return build("monitoring", "google.monitoring.v3.AlertPolicy", rename(properties));
    case "google_monitoring_uptime_check_config":
      return build("monitoring", "google.monitoring.v3.UptimeCheckConfig", rename(properties));
    case "google_monitoring_notification_channel":
      return build("monitoring", "google.monitoring.v3.NotificationChannel", rename(properties));
    case "google_monitoring_slo":
      return build("monitoring", "google.monitoring.v3.ServiceLevelObjective", toSlo(properties));
    case "google_monitoring_dashboard":
      return build(
        "monitoring-dashboards",
        "google.monitoring.dashboard.v1.Dashboard",
        JSON.parse(String(properties.dashboard_json)),
      );
    case "google_sql_database_instance":
      return build(
        "sql",
        "google.cloud.sql.v1.DatabaseInstance",
        rename(properties, {
          deletion_protection: undefined,
          disk_autoresize: "storageAutoResize",
          disk_autoresize_limit: "storageAutoResizeLimit",
          disk_type: "dataDiskType",
        }),
      );
    case "google_cloud_run_v2_worker_pool":
      return build(
        "run",
        "google.cloud.run.v2.WorkerPool",
        rename(properties, { deletion_protection: undefined, location: undefined }),
      );
    case "google_pubsub_topic":
      return build("pubsub-api", "google.pubsub.v1.Topic", rename(properties));
    case "google_pubsub_subscription":
      return build("pubsub-api", "google.pubsub.v1.Subscription", toSubscription(properties));
    default:
      return undefined;
  }
}

function build(packageName: DefinitionPackage, type: string, value: unknown): Message {
  return { package: packageName, type, value };
}

function rename(value: unknown, names: Names = {}): unknown {
  if (Array.isArray(value)) return value.map((one) => rename(one, names));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !OWN_ARGUMENTS.includes(name))
      .map(([name, one]) => [
        Object.hasOwn(names, name) ? names[name] : toCamelCase(name),
        MAPS.includes(name) ? one : rename(one, names),
      ])
      .filter(([name]) => name !== undefined),
  );
}

/** The service is part of its address, and the indicator has a level of its own. */
function toSlo({ service: _, slo_id: __, rolling_period_days: days, ...rest }: Properties) {
  const { request_based_sli, windows_based_sli, ...slo } = rest;
  return {
    ...(rename(slo) as Properties),
    rollingPeriod: `${Number(days) * 24 * 3600}s`,
    serviceLevelIndicator: rename({
      ...(request_based_sli !== undefined && { request_based: request_based_sli }),
      ...(windows_based_sli !== undefined && { windows_based: windows_based_sli }),
    }),
  };
}

/** An empty `ttl` means never, for which the message leaves it out. */
function toSubscription({ expiration_policy, ...rest }: Properties) {
  const { ttl } = expiration_policy as { ttl?: string };
  return {
    ...(rename(rest, { bigquery_config: "bigqueryConfig" }) as Properties),
    expirationPolicy: ttl === "" ? {} : { ttl },
  };
}

function toCamelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
