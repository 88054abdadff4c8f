import type { ServiceSettings, Settings } from "../settings.ts";
import type { Line, Tile } from "./dashboard-layout.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { THRESHOLDS } from "./objectives.ts";
import { increase, type Selector } from "./promql.ts";

/**
 * The instances of each service of App Engine: how many there are, idle ones among them, the least and
 * the most of the hour beside `max_instances`; and how many started and ended. docs/operations.md says
 * which decision each serves.
 */
export function listInstanceTiles({ google, logged }: Selector, settings: Settings): Tile[] {
  const { environment, api, subscriber } = settings;
  const { api: apiLogs, subscriber: subscriberLogs } = resourcesOfLogs(settings);
  const services = environment.delivery === "push" ? [api, subscriber] : [api];
  const inTheHour = (event: string): Line[] =>
    [...new Set([apiLogs, subscriberLogs])].map((resource) => ({
      legend: `${event}, ${resource}`,
      query: increase(logged(`constancia/instances_${event}`, resource), "1h"),
    }));
  return [
    ...services.map((service) => listInstances(service, google)),
    {
      title: "Instances started and ended, by the hour",
      threshold: THRESHOLDS.startsAnHour,
      lines: [...inTheHour("started"), ...inTheHour("ended")],
    },
  ];
}

function listInstances(
  { service, maxInstances }: ServiceSettings,
  google: Selector["google"],
): Tile {
  const instances = (...matchers: string[]) =>
    google("appengine.googleapis.com/system/instance_count", `module_id="${service}"`, ...matchers);
  return {
    title: `Instances of ${service}`,
    threshold: maxInstances,
    lines: [
      { legend: "{{state}}", query: `sum by (state) (${instances()})` },
      { legend: "least of the hour", query: `min_over_time(sum(${instances()})[1h:1m])` },
      { legend: "most of the hour", query: `max_over_time(sum(${instances()})[1h:1m])` },
    ],
  };
}
