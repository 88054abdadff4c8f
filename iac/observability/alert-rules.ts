import { DATABASE_INSTANCE } from "../names.ts";
import { LARGEST_DISK_GB } from "../platform/database.ts";
import { getVariable, type Settings } from "../settings.ts";
import { listIndicators } from "./indicators.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { BURN_RATES, type BurnRate, OBJECTIVES, THRESHOLDS } from "./objectives.ts";
import { burnsFast, increase, selectFrom } from "./promql.ts";
import type { Symptom } from "./runbooks.ts";

/** Any condition that holds for so long is the alert. */
export type Condition = { name: string; query: string; forSeconds?: number };
/** CRITICAL wakes somebody, WARNING is a ticket for the morning. */
export type AlertRule = {
  symptom: Symptom;
  severity: "CRITICAL" | "WARNING";
  conditions: Condition[];
};

const BYTES_A_GB = 2 ** 30;
const BURNING = [
  ["WritesRefused", "availability"],
  ["WritesNotSettling", "freshness"],
  ["AnswersSlow", "answers"],
] as const;

/** What is asked of the metrics; all but ApiDown, which asks the uptime check (alerts.ts). */
export function listAlertRules(settings: Settings): AlertRule[] {
  const indicators = listIndicators(selectFrom([settings.environment.projectId]), settings);
  const burning = (objective: (typeof BURNING)[number][1], rates: readonly BurnRate[]) =>
    rates.map((burn) => ({
      name: `${objective} burns ${burn.rate} times too fast, for ${burn.long} and ${burn.short}`,
      query: burnsFast(indicators[objective], OBJECTIVES[objective].goal, burn),
    }));
  const pages = BURNING.map(([symptom, objective]): AlertRule => {
    const conditions = [
      ...burning(objective, BURN_RATES.page),
      ...(symptom === "WritesNotSettling" ? unsettledFor(settings) : []),
    ];
    return { symptom, severity: "CRITICAL", conditions };
  });
  const tickets = BURNING.map(([symptom, objective]): AlertRule => {
    return { symptom, severity: "WARNING", conditions: burning(objective, BURN_RATES.ticket) };
  });
  return [
    ...pages,
    { symptom: "WritesMissing", severity: "CRITICAL", conditions: missing(settings) },
    { symptom: "BacklogOld", severity: "CRITICAL", conditions: backlog(settings) },
    { symptom: "DatabaseDiskFull", severity: "CRITICAL", conditions: disk(settings) },
    ...tickets,
    // What is dead is written down, and stays so until somebody has replayed it.
    { symptom: "DeadLetters", severity: "WARNING", conditions: dead(settings) },
  ];
}

/** Lag is measured once a write is settled, so that it tells nothing of those that never are. */
function unsettledFor({ environment }: Settings): Condition[] {
  const { own } = selectFrom([environment.projectId]);
  const { unsettledSeconds } = THRESHOLDS;
  return [
    {
      name: `a write is unsettled after ${unsettledSeconds} s`,
      query: `max(${own("constancia_oldest_unsettled_write_seconds")}) > ${unsettledSeconds}`,
      forSeconds: 120,
    },
  ];
}

/** Anything but zero: some are missing, or it is not known that none is. */
function missing(settings: Settings): Condition[] {
  const { environment } = settings;
  const { logged } = selectFrom([environment.projectId]);
  const { api, audit } = resourcesOfLogs(settings);
  const accepted = logged("constancia/writes_accepted_sum", api);
  const clean = logged("constancia/audits_clean", audit);
  return [
    {
      name: "an audit found accepted writes without a receipt",
      query: `${increase(logged("constancia/writes_missing_sum", audit), "90m")} > 0`,
    },
    ...(environment.isWatched
      ? [
          {
            name: `writes were accepted, and no audit was clean for ${THRESHOLDS.auditSilence}`,
            query:
              `${increase(accepted, THRESHOLDS.auditSilence)} > 0\n` +
              `unless ${increase(clean, THRESHOLDS.auditSilence)} > 0`,
          },
        ]
      : []),
  ];
}

/** Pub/Sub's own word, which needs no process of ours to be alive. */
function backlog(settings: Settings): Condition[] {
  const { google } = selectFrom([settings.environment.projectId]);
  const subscriptions = [
    getVariable(settings.subscriber, "PUBSUB_SUBSCRIPTION"),
    getVariable(settings.subscriber, "PUBSUB_DEAD_LETTER_SUBSCRIPTION"),
  ].join("|");
  const age = google(
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age",
    `subscription_id=~"${subscriptions}"`,
  );
  return [
    {
      name: `a message waits for more than ${THRESHOLDS.backlogSeconds} s`,
      query: `max by (subscription_id) (${age}) > ${THRESHOLDS.backlogSeconds}`,
      forSeconds: 60,
    },
  ];
}

function disk({ environment }: Settings): Condition[] {
  const { google } = selectFrom([environment.projectId]);
  const { diskShare, diskNowShare } = THRESHOLDS;
  const database = `database_id="${environment.projectId}:${DATABASE_INSTANCE}"`;
  const used = google("cloudsql.googleapis.com/database/disk/bytes_used", database);
  const share = google("cloudsql.googleapis.com/database/disk/utilization", database);
  return [
    {
      name: `${diskShare * 100} % of the largest disk are used`,
      query: `max(${used}) > ${diskShare * LARGEST_DISK_GB * BYTES_A_GB}`,
      forSeconds: 300,
    },
    {
      name: `${diskNowShare * 100} % of the disk are used, and it does not grow`,
      query: `max(${share}) > ${diskNowShare}`,
      forSeconds: 600,
    },
  ];
}

/** The table's count, and the log's for when no process is awake to tell it. */
function dead(settings: Settings): Condition[] {
  const { own, logged } = selectFrom([settings.environment.projectId]);
  const { subscriber } = resourcesOfLogs(settings);
  return [
    {
      name: "a dead letter is not replayed yet",
      query: `max(${own("constancia_open_dead_letters")}) > 0`,
    },
    {
      name: "a message died",
      query: `${increase(logged("constancia/dead_messages", subscriber), "1h")} > 0`,
    },
  ];
}
