import { databaseHour, HOURS_A_MONTH, MILLION, PRICES } from "./prices.ts";

/** One line of a bill. */
export type Line = { what: string; basis: string; dollars: number };

/** The conditions of all alerts by how often they are evaluated; each returns about one series. */
export const ALERT_CONDITIONS = { everyMinute: 11, everyMinuteIfWatched: 2, everyFiveMinutes: 5 };
/** Of one awake process, with a dozen kinds of requests: assumed, pushed once a minute. */
const SAMPLES_A_PUSH = 150;
const MINUTES_A_MONTH = HOURS_A_MONTH * 60;

/**
 * A month with no traffic. Both services scale to zero, but whoever is asked every minute whether it
 * is ready has an instance of the API that never sleeps.
 */
export function costAtRest(options: {
  tier: string;
  databaseGib: number;
  secrets: number;
  isWatched: boolean;
}): Line[] {
  const { tier, databaseGib, secrets } = options;
  return [
    ...costOfDatabase(tier, databaseGib),
    {
      what: "Secret Manager",
      basis: `${secrets} versions`,
      dollars: secrets * PRICES.secretVersionMonth,
    },
    ...costOfWatching(options.isWatched),
    { what: "App Engine, Pub/Sub, Cloud Logging", basis: "no traffic", dollars: 0 },
  ];
}

export function costOfDatabase(tier: string, gib: number): Line[] {
  const basis = `${gib} GiB`;
  return [
    {
      what: `Cloud SQL ${tier}`,
      basis: `${HOURS_A_MONTH} h`,
      dollars: databaseHour(tier) * HOURS_A_MONTH,
    },
    { what: "its disk", basis, dollars: gib * PRICES.databaseGibMonth },
    { what: "its backups", basis, dollars: gib * PRICES.backupGibMonth },
  ];
}

function costOfWatching(isWatched: boolean): Line[] {
  const { everyMinuteIfWatched, everyFiveMinutes } = ALERT_CONDITIONS;
  const everyMinute = ALERT_CONDITIONS.everyMinute + (isWatched ? everyMinuteIfWatched : 0);
  const conditions = everyMinute + everyFiveMinutes;
  const series = (everyMinute + everyFiveMinutes / 5) * MINUTES_A_MONTH;
  const alerts = {
    what: "Cloud Monitoring, alerts",
    basis: `${conditions} conditions`,
    dollars:
      conditions * PRICES.alertConditionMonth + (series / MILLION) * PRICES.millionAlertSeries,
  };
  if (!isWatched) return [alerts];
  const samples = SAMPLES_A_PUSH * MINUTES_A_MONTH;
  return [
    alerts,
    {
      what: "Cloud Monitoring, metrics of the API",
      basis: `${(samples / MILLION).toFixed(1)} million samples`,
      dollars: (samples / MILLION) * PRICES.millionSamples,
    },
    {
      what: "App Engine, F2, awake for the uptime check",
      basis: `${HOURS_A_MONTH} h`,
      dollars: HOURS_A_MONTH * PRICES.instanceHour,
    },
  ];
}
