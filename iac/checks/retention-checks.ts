import { RETENTION_MARGIN_DAYS } from "../../common/limits.ts";
import { getVariable, type Settings } from "../settings.ts";
import {
  formatPlace,
  getBlock,
  listResources,
  parseSeconds,
  type Resource,
  refersTo,
  type Stacks,
} from "../terraform-json.ts";

const DAY_SECONDS = 24 * 3600;
/** Pub/Sub's default for a subscription; a topic retains nothing by default. */
const SUBSCRIPTION_RETENTION_SECONDS = 7 * DAY_SECONDS;
/** Cloud SQL's default. */
const BINARY_LOG_DAYS = 7;

/**
 * Receipts and tombstones must outlive every message: one that is delivered later would be settled a
 * second time, or bring a deleted item back. A message is kept by its topic and its subscription, and
 * then by the dead-letter topic and its subscription.
 */
export function checkReceiptRetention(
  subscription: Resource,
  stacks: Stacks,
  { api, subscriber }: Settings,
): string[] {
  const policy = getBlock(subscription.properties, "dead_letter_policy");
  if (!policy) return [];
  const topics = listResources(stacks, "google_pubsub_topic");
  const deadLetters = topics.find((topic) => refersTo(policy.dead_letter_topic, topic));
  const kept = [
    subscription,
    ...topics.filter((topic) => refersTo(subscription.properties.topic, topic)),
  ];
  const keptAfter = listResources(stacks, "google_pubsub_subscription").filter(
    ({ properties }) => deadLetters && refersTo(properties.topic, deadLetters),
  );
  if (deadLetters) keptAfter.push(deadLetters);
  const days = getLongestDays(kept) + getLongestDays(keptAfter) + RETENTION_MARGIN_DAYS;
  return [api, subscriber].flatMap((service) => {
    const found = getVariable(service, "RECEIPT_RETENTION_DAYS");
    if (Number(found) >= days) return [];
    return [
      `${service.file}: RECEIPT_RETENTION_DAYS is ${found}, but must be at least ${days}: Pub/Sub keeps` +
        ` a message for up to ${days - RETENTION_MARGIN_DAYS} days (${formatPlace(subscription)}).`,
    ];
  });
}

/**
 * After a restore of MySQL the topics must still have every message that was settled since the time
 * to which it was restored; one may have waited for as long as its subscription keeps it.
 */
export function checkRestoreRetention(subscription: Resource, stacks: Stacks): string[] {
  const policy = getBlock(subscription.properties, "dead_letter_policy");
  if (!policy) return [];
  const [database] = listResources(stacks, "google_sql_database_instance");
  const settings = getBlock(database?.properties, "settings");
  const backups = getBlock(settings, "backup_configuration");
  const restoreDays = Number(backups?.transaction_log_retention_days ?? BINARY_LOG_DAYS);
  const days = restoreDays + getLongestDays([subscription]);
  return listResources(stacks, "google_pubsub_topic").flatMap((topic) => {
    const isOurs = [subscription.properties.topic, policy.dead_letter_topic];
    if (!isOurs.some((name) => refersTo(name, topic))) return [];
    const found = getLongestDays([topic]);
    if (found >= days) return [];
    return [
      `${formatPlace(topic)}: message_retention_duration is ${found} days, but must be at least ${days}:` +
        ` MySQL can be restored to ${restoreDays} days ago, when a message may have waited for` +
        ` ${days - restoreDays} (${formatPlace(subscription)}).`,
    ];
  });
}

/** The longest retention among these topics and subscriptions, in days. */
function getLongestDays(resources: readonly Resource[]): number {
  const seconds = resources.map(
    ({ type, properties }) =>
      parseSeconds(properties.message_retention_duration) ??
      (type === "google_pubsub_topic" ? 0 : SUBSCRIPTION_RETENTION_SECONDS),
  );
  return Math.ceil(Math.max(0, ...seconds) / DAY_SECONDS);
}
