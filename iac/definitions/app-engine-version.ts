type Yaml = Record<string, unknown>;
type Handler = { url?: string; secure?: string; script?: string };

/** The keys of `automatic_scaling` that the message has one level below, as App Engine standard's. */
const STANDARD_SCHEDULER: Record<string, string> = {
  max_instances: "maxInstances",
  min_instances: "minInstances",
  target_cpu_utilization: "targetCpuUtilization",
  target_throughput_utilization: "targetThroughputUtilization",
};

/**
 * An app.yaml as the message `google.appengine.v1.Version` that `gcloud app deploy` makes of it. A key
 * that it does not know stays as it is, and is then no field of the message.
 */
export function toVersion({ service: _, ...yaml }: Yaml): Yaml {
  const { automatic_scaling, entrypoint, handlers = [], inbound_services = [], ...rest } = yaml;
  return {
    ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [toCamelCase(name), value])),
    automaticScaling: toScaling(automatic_scaling as Yaml),
    entrypoint: { shell: entrypoint },
    handlers: (handlers as Handler[]).map(({ url, secure, script, ...unknown }) => ({
      ...unknown,
      urlRegex: url,
      securityLevel: `SECURE_${String(secure).toUpperCase()}`,
      script: { scriptPath: script },
    })),
    inboundServices: (inbound_services as string[]).map(
      (name) => `INBOUND_SERVICE_${name.toUpperCase()}`,
    ),
  };
}

function toScaling(scaling: Yaml): Yaml {
  const entries = Object.entries(scaling);
  const isStandard = (name: string) => Object.hasOwn(STANDARD_SCHEDULER, name);
  return {
    ...Object.fromEntries(
      entries
        .filter(([name]) => !isStandard(name))
        .map(([name, value]) => [toCamelCase(name), value]),
    ),
    standardSchedulerSettings: Object.fromEntries(
      entries
        .filter(([name]) => isStandard(name))
        .map(([name, value]) => [STANDARD_SCHEDULER[name], value]),
    ),
  };
}

function toCamelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
