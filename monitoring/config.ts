import { parse, stringify } from "yaml";

/**
 * Where the parts are that `compose.yaml` knows by their names: host and port. What is beside the
 * processes is not scraped where it has none.
 */
export type Addresses = {
  api: string;
  subscriber: string;
  alertmanager: string;
  mysql?: string | undefined;
  machine?: string | undefined;
  containers?: string | undefined;
};

type Targets = { static_configs: { targets: string[] }[] };
type PrometheusConfig = {
  global: Record<string, string>;
  alerting: { alertmanagers: Targets[] };
  scrape_configs: (Targets & {
    job_name: Exclude<keyof Addresses, "alertmanager">;
    scrape_interval?: string;
  })[];
};

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
const DURATION = /\b(\d+)([smhd])\b/g;

/** `monitoring/prometheus.yml` for parts elsewhere; `pace` is how often it scrapes and judges. */
export function adaptPrometheus(text: string, addresses: Addresses, pace?: string): string {
  const config: PrometheusConfig = parse(text);
  const at = (address: string) => [{ targets: [address] }];
  config.scrape_configs = config.scrape_configs.flatMap((scrape) => {
    const address = addresses[scrape.job_name];
    if (!address) return [];
    if (pace) delete scrape.scrape_interval;
    return [{ ...scrape, static_configs: at(address) }];
  });
  config.alerting.alertmanagers = [{ static_configs: at(addresses.alertmanager) }];
  if (pace)
    config.global = { scrape_interval: pace, scrape_timeout: pace, evaluation_interval: pace };
  return stringify(config, { lineWidth: 0 });
}

/** Who is told of alerts: the addresses of a webhook, and of an incoming webhook of Slack's. */
export type Receivers = { webhook?: string | undefined; slack?: string | undefined };

/** `monitoring/alertmanager.yml` with receivers, appended as `compose.yaml` does it. */
export function addReceivers(text: string, { webhook, slack }: Receivers): string {
  const lines = [text.trimEnd()];
  if (webhook) lines.push(`    webhook_configs: [{ url: '${webhook}' }]`);
  if (slack)
    lines.push(
      `    slack_configs: [{ api_url: '${slack}', send_resolved: true, text: '${SLACK_TEXT}' }]`,
    );
  return `${lines.join("\n")}\n`;
}

/** The title is Alertmanager's own: how many alerts fire, and their name. */
const SLACK_TEXT =
  "{{ range .Alerts }}{{ .Annotations.description }} {{ end }}{{ .CommonAnnotations.runbook }}";

/**
 * The same rules, or the same routes, with all time running `factor` times as fast, so that a test
 * need not wait for minutes: what an alert waits `for`, the ranges in its expression, the seconds
 * that it compares with, and how long messages are grouped.
 */
export function hasten(text: string, factor: number): string {
  const faster = (duration: string) =>
    duration.replaceAll(DURATION, (_, count, unit) => {
      const seconds = SECONDS[unit] ?? Number.NaN;
      return `${Math.max(1, Math.round((count * seconds * 1_000) / factor))}ms`;
    });
  return text
    .replaceAll(/^ *(- )?(for|group_wait|\w+_interval): .*$/gm, faster)
    .replaceAll(/\[\d+[smhd]\]/g, faster)
    .replaceAll(/(_seconds\)* > )(\d+)/g, (_, before, seconds) => before + seconds / factor);
}
