import { CLOCK_SKEW_MS } from "../../common/limits.ts";

/** What matters of a subscription and its topic. */
export type SubscriptionState = {
  name: string;
  /** For how long messages are kept after they were acknowledged; 0 where they are not. */
  retainedMs: number;
  /** For how long a message may stay unacknowledged. */
  unsettledMs: number;
  /** Where Pub/Sub pushes to, with the token of which account and audience; undefined where it does not. */
  push: { endpoint: string; account: string; audience: string } | undefined;
};

/** What matters of the database. */
export type DatabaseState = {
  /** MySQL's clock, in milliseconds since 1970. */
  nowMs: number;
  /** When the newest write that was found had been settled. */
  settledAtMs: number | undefined;
  /** Feeds of collections, and writes that wait for another one. */
  feeds: number;
  waiting: number;
};

export type RestoreOptions = {
  /** To which time MySQL was restored. */
  timeMs: number;
  /** Before which nothing was unsettled at that time, where the operator knows it. */
  fromMs: number | undefined;
  /** The subscriptions were sought before, so that writes may have been settled since. */
  isAgain: boolean;
};

/** To where the subscriptions are sought, and in sentences: what forbids it, and what to know. */
export type Plan = { seekMs: number; obstacles: string[]; notes: string[] };

/**
 * Plans the seek that follows a restore of MySQL. Where it goes back to is before everything that may
 * have been unsettled at that time: a seek acknowledges whatever is older, delivered or not.
 */
export function planRestore(
  { timeMs, fromMs, isAgain }: RestoreOptions,
  database: DatabaseState,
  subscriptions: readonly SubscriptionState[],
  nowMs: number,
): Plan {
  const time = formatTime(timeMs);
  const longestMs = Math.max(...subscriptions.map(({ unsettledMs }) => unsettledMs));
  const seekMs = fromMs ?? timeMs - longestMs - CLOCK_SKEW_MS;
  const obstacles: string[] = [];
  const notes = [
    `Everything published since ${formatTime(seekMs)} is delivered again. What the database has already stays as it is.`,
  ];
  if (fromMs === undefined)
    notes.push(
      "That is as far back as a write may have waited. If you know a time before which everything was settled, as when the backlog was empty, --from takes it, and less is delivered again.",
    );
  const skewSeconds = Math.round((nowMs - database.nowMs) / 1_000);
  if (timeMs > Math.min(nowMs, database.nowMs))
    obstacles.push(`${time} is in the future: MySQL's clock says ${formatTime(database.nowMs)}.`);
  if (Math.abs(skewSeconds) * 1_000 > CLOCK_SKEW_MS)
    obstacles.push(
      `This machine's clock is ${Math.abs(skewSeconds)} s ${skewSeconds > 0 ? "ahead of" : "behind"} MySQL's. Correct it first.`,
    );
  if (fromMs !== undefined && fromMs > timeMs - CLOCK_SKEW_MS)
    obstacles.push(
      `--from must be at least ${CLOCK_SKEW_MS / 1_000} s before ${time}: clocks differ, and what is older counts as settled.`,
    );
  const { settledAtMs } = database;
  if (settledAtMs !== undefined && settledAtMs > timeMs + CLOCK_SKEW_MS && !isAgain)
    obstacles.push(
      `The database has a write that was settled at ${formatTime(settledAtMs)}, after ${time}. Either MYSQL_URL names a database that was not restored, or a subscriber has settled writes in it since. In the second case give --again.`,
    );
  for (const subscription of subscriptions) {
    const judged = judgeSubscription(subscription, { timeMs, seekMs, nowMs });
    obstacles.push(...judged.obstacles);
    notes.push(...judged.notes);
  }
  if (subscriptions.some(({ push }) => !push))
    notes.push(
      "Who pulls is not seen from here. End every subscriber that uses another database first: what it acknowledges is not in this one.",
    );
  return { seekMs, obstacles, notes };
}

/** What forbids the seek of one subscription, and what it cannot bring back. */
function judgeSubscription(
  { name, retainedMs, push }: SubscriptionState,
  { timeMs, seekMs, nowMs }: { timeMs: number; seekMs: number; nowMs: number },
): Omit<Plan, "seekMs"> {
  const obstacles: string[] = [];
  const notes: string[] = [];
  if (push) {
    const command = `gcloud pubsub subscriptions modify-push-config ${name} --push-endpoint=`;
    const token = push.account
      ? ` --push-auth-service-account=${push.account} --push-auth-token-audience=${push.audience}`
      : "";
    obstacles.push(
      `Pub/Sub pushes ${name} to ${push.endpoint}, where a subscriber may still use another database. Pause it, and resume it once every subscriber uses this one:\n  ${command}""\n  ${command}${push.endpoint}${token}`,
    );
  }
  const retainedSinceMs = nowMs - retainedMs;
  if (retainedMs === 0)
    obstacles.push(
      `Messages of ${name} are not kept once they are acknowledged: its topic has no message retention. What was settled after ${formatTime(timeMs)} is lost.`,
    );
  else if (timeMs < retainedSinceMs)
    obstacles.push(
      `Messages of ${name} are kept since ${formatTime(retainedSinceMs)} only. What was accepted between ${formatTime(timeMs)} and then is lost; to restore the rest, give that time.`,
    );
  else if (seekMs < retainedSinceMs)
    notes.push(
      `Messages of ${name} are kept since ${formatTime(retainedSinceMs)}. A write that was accepted before and still unsettled at ${formatTime(timeMs)} is not delivered again.`,
    );
  return { obstacles, notes };
}

/** A time in RFC 3339. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}
