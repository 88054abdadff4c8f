import { getDatabaseInstance } from "../names.ts";
import { LARGEST_DISK_GB } from "../platform/database.ts";
import { getVariable, type Settings } from "../settings.ts";
import { listIndicators } from "./indicators.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { BURN_RATES, type BurnRate, OBJECTIVES, THRESHOLDS } from "./objectives.ts";
import { burnsFast, increase, selectFrom } from "./promql.ts";
import type { Symptom } from "./runbooks.ts";

/** An alert fires when one of its conditions is true for `forSeconds`. */
export type Condition = { name: string; query: string; forSeconds?: number };
/** CRITICAL pages a person; WARNING is a ticket for working hours. */
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

/** The alerts on metrics: all but ApiDown, which uses the uptime check (alerts.ts). */
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
    { symptom: "LoginRefused", severity: "CRITICAL", conditions: refusedLogins(settings) },
    { symptom: "BacklogOld", severity: "CRITICAL", conditions: backlog(settings) },
    { symptom: "DatabaseDiskFull", severity: "CRITICAL", conditions: disk(settings) },
    ...tickets,
    // A dead letter stays recorded until somebody replays it.
    { symptom: "DeadLetters", severity: "WARNING", conditions: dead(settings) },
  ];
}

/** Lag is measured when a write settles, so it shows nothing of writes that do not. */
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

/** Writes are missing, or no audit has found out whether they are. */
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

/** From the logs: a process that exports metrics may be one that was let in. */
function refusedLogins(settings: Settings): Condition[] {
  const { logged } = selectFrom([settings.environment.projectId]);
  const { api, subscriber } = resourcesOfLogs(settings);
  const queries = [...new Set([api, subscriber])].map(
    (resource) => `${increase(logged("constancia/refused_logins", resource), "10m")} > 0`,
  );
  return [{ name: "MySQL refuses the log-in of a process", query: queries.join("\nor ") }];
}

/** From Pub/Sub's metrics, which exist even if no process of Constancia runs. */
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
  const database = `database_id="${environment.projectId}:${getDatabaseInstance(environment)}"`;
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

/** The count in the table, and the count in the logs in case no process runs to export the first. */
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
