import { type BurnRate, LEAST_BAD_EVENTS } from "./objectives.ts";

/** How many were bad, and how many there were, in the window before now. */
export type Indicator = { bad(window: string): string; total(window: string): string };
export type Selector = ReturnType<typeof selectFrom>;

/**
 * Makes selectors of metrics that see these projects alone: where a project watches others too,
 * its queries would else add up all of them.
 */
export function selectFrom(projectIds: readonly string[]) {
  const [only = "", ...others] = projectIds;
  const project =
    others.length === 0 ? `project_id="${only}"` : `project_id=~"${projectIds.join("|")}"`;
  const select = (name: string, ...matchers: string[]) =>
    `${name}{${[project, ...matchers].join(",")}}`;
  return {
    /** One that the processes push, by its own name. */
    own: select,
    /** One of Google's, `SERVICE.googleapis.com/PATH`. */
    google: (type: string, ...matchers: string[]) => select(toPromql(type), ...matchers),
    /** A log-based one of log-metrics.ts; a distribution's needs `_sum` or `_count`. */
    logged: (name: string, resource: string, ...matchers: string[]) =>
      select(
        toPromql(`logging.googleapis.com/user/${name}`),
        `monitored_resource="${resource}"`,
        ...matchers,
      ),
  };
}

/** Google's rule for its metrics' names: the first slash is a colon, the rest underscores. */
function toPromql(type: string): string {
  return type.replace("/", ":").replaceAll(/[^\w:]/g, "_");
}

export function increase(selected: string, window: string): string {
  return `sum(increase(${selected}[${window}]))`;
}

/** True where the budget burns as fast in both windows, and by more than a few events. */
export function burnsFast(indicator: Indicator, goal: number, burn: BurnRate): string {
  const { bad, total } = indicator;
  // Without the noise of 1 - 0.999.
  const limit = Number((burn.rate * (1 - goal)).toFixed(6));
  const share = (window: string) => `(${bad(window)}) / (${total(window)}) > ${limit}`;
  return [share(burn.long), share(burn.short), `(${bad(burn.long)}) >= ${LEAST_BAD_EVENTS}`].join(
    "\nand ",
  );
}
