import type { Settings } from "../settings.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { OBJECTIVES } from "./objectives.ts";
import { type Indicator, increase, type Selector } from "./promql.ts";

/**
 * The requests that count for the objective `answers`: writes (202, 207), and reads and writes that
 * waited (200, 304). Receipts do not count, because clients wait for them with `Prefer: wait`.
 */
export const ANSWERS = { routes: "/api/:collection(/:id)?", statuses: "200|202|207|304" };
/** The same in PromQL. */
const ANSWERS_MATCHED = [
  `http_route=~"${ANSWERS.routes}"`,
  `http_response_status_code=~"${ANSWERS.statuses}"`,
];

/** The indicators of the objectives in PromQL; service-levels.ts has the same for SLOs. */
export function listIndicators(
  { own, logged }: Selector,
  settings: Settings,
): Record<"availability" | "answers" | "freshness", Indicator> {
  const { api } = resourcesOfLogs(settings);
  const requests = (...matchers: string[]) => logged("constancia/write_requests", api, ...matchers);
  return {
    availability: {
      bad: (window) => increase(requests('status=~"5.."'), window),
      total: (window) => increase(requests(), window),
    },
    answers: late("http_server_request_duration_seconds", "answers", ANSWERS_MATCHED),
    freshness: late("constancia_write_lag_seconds", "freshness", []),
  };

  function late(
    histogram: string,
    objective: "answers" | "freshness",
    matchers: readonly string[],
  ): Indicator {
    const { withinSeconds } = OBJECTIVES[objective];
    const total = (window: string) => increase(own(`${histogram}_count`, ...matchers), window);
    const inTime = (window: string) =>
      // A whole bound is "5.0" in Prometheus 3, and "5" in older versions and on Google Cloud.
      increase(own(`${histogram}_bucket`, ...matchers, `le=~"${withinSeconds}([.]0)?"`), window);
    return { total, bad: (window) => `${total(window)} - ${inTime(window)}` };
  }
}
