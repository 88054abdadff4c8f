import { listResources, type Properties, type Resource, type Stacks } from "../terraform-json.ts";

/** Where whoever is told reads on. */
const RUNBOOKS = "docs/operations.md";
/** A selector: the metric's name, and its labels. */
const SELECTORS = /([a-zA-Z_:][\w:]*)\{([^}]*)\}/g;
/** A log-based metric, as filters and as PromQL name it. */
const LOGGED = /logging\.googleapis\.com\/user\/([\w/]+)|logging_googleapis_com:user_(\w+)/g;

/** What is wrong in what watches: such a fault is seen when it is too late, if ever. */
export function checkWatching(stacks: Stacks): string[] {
  const watching = listResources(
    stacks,
    ...["google_monitoring_alert_policy", "google_monitoring_dashboard", "google_monitoring_slo"],
  );
  return [
    ...watching.flatMap(checkScope),
    ...watching.flatMap((one) => checkLogged(one, stacks)),
    ...listResources(stacks, "google_monitoring_alert_policy").flatMap(checkPolicy),
  ];
}

/** A project that sees others' metrics would add theirs to its own. */
function checkScope(watching: Resource): string[] {
  const names = getTexts(watching.properties)
    .flatMap((text) => [...text.matchAll(SELECTORS)])
    .filter(([, , labels = ""]) => !/\bproject_id=/.test(labels))
    .map(([, name]) => name);
  return [...new Set(names)].map(
    (name) =>
      `${getPlace(watching)}: asks for ${name} without project_id, and so of every project.`,
  );
}

/** Of a metric that nobody makes, a query finds nothing, and nothing is no alert. */
function checkLogged(watching: Resource, stacks: Stacks): string[] {
  const made = listResources(stacks, "google_logging_metric").map(({ properties }) => ({
    name: String(properties.name).replaceAll("/", "_"),
    isSum: Boolean(properties.value_extractor),
  }));
  const asked = getTexts(watching.properties)
    .flatMap((text) => [...text.matchAll(LOGGED)])
    .map(([, path, name = path?.replaceAll("/", "_")]) => ({ name, isPromql: !path }));
  const unknown = asked.filter(
    ({ name, isPromql }) =>
      !made.some((one) => name === (one.isSum && isPromql ? `${one.name}_sum` : one.name)),
  );
  return [...new Set(unknown.map(({ name }) => name))].map(
    (name) => `${getPlace(watching)}: asks for the log-based metric ${name}, which is not made.`,
  );
}

/** Whoever is told at night needs to know what to do; and somebody must be told. */
function checkPolicy(policy: Resource): string[] {
  const { documentation, notification_channels: channels, severity } = policy.properties;
  const { content = "" } = (documentation ?? {}) as { content?: string };
  const faults = [
    [content.includes(RUNBOOKS), `names no section of ${RUNBOOKS} in its documentation`],
    [Boolean(channels), "has no notification channel"],
    [Boolean(severity), "does not say how urgent it is"],
  ] as const;
  return faults.filter(([holds]) => !holds).map(([, fault]) => `${getPlace(policy)}: ${fault}.`);
}

/** Every text in it; a dashboard is one JSON text, whose inner quotes are read too. */
function getTexts(value: unknown): string[] {
  if (typeof value === "string")
    return value.startsWith('{"') ? getTexts(JSON.parse(value)) : [value];
  return value && typeof value === "object"
    ? Object.values(value as Properties).flatMap(getTexts)
    : [];
}

function getPlace({ stack, address }: Resource): string {
  return `iac/${stack}.ts, ${address}`;
}
