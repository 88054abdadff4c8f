import { type BurnRate, LEAST_BAD_EVENTS } from "./objectives.ts";

/** The number of bad events and of all events in the window before now, in PromQL. */
export type Indicator = { bad(window: string): string; total(window: string): string };
export type Selector = ReturnType<typeof selectFrom>;

/**
 * Builds selectors of metrics of these projects only. Without `project_id`, a query in a project
 * that shows other projects' metrics would add up all of them.
 */
export function selectFrom(projectIds: readonly string[]) {
  const [only = "", ...others] = projectIds;
  const project =
    others.length === 0 ? `project_id="${only}"` : `project_id=~"${projectIds.join("|")}"`;
  const select = (name: string, ...matchers: string[]) =>
    `${name}{${[project, ...matchers].join(",")}}`;
  return {
    /** A metric that the processes export. */
    own: select,
    /** A metric of Google's, `SERVICE.googleapis.com/PATH`. */
    google: (type: string, ...matchers: string[]) => select(toPromql(type), ...matchers),
    /** A log-based metric of log-metrics.ts; the name of a distribution needs `_sum` or `_count`. */
    logged: (name: string, resource: string, ...matchers: string[]) =>
      select(
        toPromql(`logging.googleapis.com/user/${name}`),
        `monitored_resource="${resource}"`,
        ...matchers,
      ),
  };
}

/** Google's rule: the first slash becomes a colon, all other special characters underscores. */
function toPromql(type: string): string {
  return type.replace("/", ":").replaceAll(/[^\w:]/g, "_");
}

/** The sum of increases of all series in the window. */
export function increase(selected: string, window: string): string {
  return `sum(increase(${selected}[${window}]))`;
}

/** True if the budget is spent at the given rate in both windows, by more than a few events. */
export function burnsFast(indicator: Indicator, goal: number, burn: BurnRate): string {
  const { bad, total } = indicator;
  // Rounded: 1 - 0.999 is not exactly 0.001 in floating point.
  const limit = Number((burn.rate * (1 - goal)).toFixed(6));
  const share = (window: string) => `(${bad(window)}) / (${total(window)}) > ${limit}`;
  return [share(burn.long), share(burn.short), `(${bad(burn.long)}) >= ${LEAST_BAD_EVENTS}`].join(
    "\nand ",
  );
}
