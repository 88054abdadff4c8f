import type { Settings } from "../settings.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { OBJECTIVES } from "./objectives.ts";
import { type Indicator, increase, type Selector } from "./promql.ts";

/**
 * The answers that are measured: to a write (202, 207), and to a read or a write that waited with
 * success (200). A 304 is a read too. Receipts are asked with `Prefer: wait`, and are late by design.
 */
export const ANSWERS = { routes: "/api/:collection(/:id)?", statuses: "200|202|207|304" };
/** The same in PromQL, as both kinds of processes push them. */
const ANSWERS_MATCHED = [
  `http_route=~"${ANSWERS.routes}"`,
  `http_response_status_code=~"${ANSWERS.statuses}"`,
];

/** What the objectives are judged by, as alerts and the fleet ask it; service-levels.ts has the same for SLOs. */
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
      // Prometheus 3 writes whole bounds as "5.0", older ones and Google as "5".
      increase(own(`${histogram}_bucket`, ...matchers, `le=~"${withinSeconds}([.]0)?"`), window);
    return { total, bad: (window) => `${total(window)} - ${inTime(window)}` };
  }
}
