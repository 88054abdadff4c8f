import {
  formatPlace,
  listResources,
  type Properties,
  type Resource,
  type Stacks,
} from "../terraform-json.ts";

/** The document that an alert must refer to. */
const RUNBOOKS = "docs/operations.md";
/** A PromQL selector: the metric's name and its labels. */
const SELECTORS = /([a-zA-Z_:][\w:]*)\{([^}]*)\}/g;
/** A log-based metric in a filter and in PromQL. */
const LOGGED = /logging\.googleapis\.com\/user\/([\w/]+)|logging_googleapis_com:user_(\w+)/g;

/** Returns a sentence for each fault in alerts, dashboards and SLOs, which would go unnoticed otherwise. */
export function checkObservability(stacks: Stacks): string[] {
  const watching = listResources(
    stacks,
    "google_monitoring_alert_policy",
    "google_monitoring_dashboard",
    "google_monitoring_slo",
  );
  return [
    ...watching.flatMap(checkScope),
    ...watching.flatMap((one) => checkLogged(one, stacks)),
    ...listResources(stacks, "google_monitoring_alert_policy").flatMap(checkPolicy),
  ];
}

/** Without project_id, a project that shows others' metrics would add theirs to its own. */
function checkScope(watching: Resource): string[] {
  const names = listTexts(watching.properties)
    .flatMap((text) => [...text.matchAll(SELECTORS)])
    .filter(([, , labels = ""]) => !/\bproject_id=/.test(labels))
    .map(([, name]) => name);
  return [...new Set(names)].map(
    (name) =>
      `${formatPlace(watching)}: queries ${name} without project_id, and so for every project.`,
  );
}

/** A query of a metric that does not exist returns nothing, so its alert never fires. */
function checkLogged(watching: Resource, stacks: Stacks): string[] {
  const made = listResources(stacks, "google_logging_metric").map(({ properties }) => ({
    name: String(properties.name).replaceAll("/", "_"),
    isSum: Boolean(properties.value_extractor),
  }));
  const asked = listTexts(watching.properties)
    .flatMap((text) => [...text.matchAll(LOGGED)])
    .map(([, path, name = path?.replaceAll("/", "_")]) => ({ name, isPromql: !path }));
  const unknown = asked.filter(
    ({ name, isPromql }) =>
      !made.some((one) => name === (one.isSum && isPromql ? `${one.name}_sum` : one.name)),
  );
  return [...new Set(unknown.map(({ name }) => name))].map(
    (name) =>
      `${formatPlace(watching)}: queries the log-based metric ${name}, which does not exist.`,
  );
}

/** An alert must notify somebody and say what to do. */
function checkPolicy(policy: Resource): string[] {
  const { documentation, notification_channels: channels, severity } = policy.properties;
  const { content = "" } = (documentation ?? {}) as { content?: string };
  const faults = [
    [content.includes(RUNBOOKS), `does not refer to ${RUNBOOKS} in its documentation`],
    [Boolean(channels), "has no notification channel"],
    [Boolean(severity), "has no severity"],
  ] as const;
  return faults.filter(([holds]) => !holds).map(([, fault]) => `${formatPlace(policy)}: ${fault}.`);
}

/** Every string in a value; a dashboard is a string of JSON, whose strings are returned too. */
function listTexts(value: unknown): string[] {
  if (typeof value === "string")
    return value.startsWith('{"') ? listTexts(JSON.parse(value)) : [value];
  return value && typeof value === "object"
    ? Object.values(value as Properties).flatMap(listTexts)
    : [];
}
