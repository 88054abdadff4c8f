/** The alerts, most urgent first. Each is named after a symptom, as in monitoring/rules.yml. */
export const SYMPTOMS = [
  "ApiDown",
  "WritesRefused",
  "WritesMissing",
  "WritesNotSettling",
  "LoginRefused",
  "BacklogOld",
  "DatabaseDiskFull",
  "AnswersSlow",
  "DeadLetters",
] as const;
export type Symptom = (typeof SYMPTOMS)[number];

type Runbook = {
  /** What clients notice. */
  meaning: string;
  /** The command to run first. PROJECT stands for the project's id. */
  command: string;
  /** What its output may show, and what to do then. */
  next: string;
};

const WARNINGS =
  "gcloud logging read 'resource.type=\"gae_app\" severity>=WARNING' --freshness=1h --limit=50 --project=PROJECT";

/** The text of each alert's notification. docs/operations.md has a section with more. */
export const RUNBOOKS: Record<Symptom, Runbook> = {
  ApiDown: {
    meaning: "The API is not ready or cannot be reached from more than one region.",
    command: "npm run rollout -- --status --project=PROJECT",
    next: "If there is a new version, roll back: `npm run rollout -- --rollback --project=PROJECT`. Otherwise `GET /health/ready` names the tables that do not match, or says that MySQL does not respond.",
  },
  WritesRefused: {
    meaning:
      "Write requests are answered 5xx. These writes are not accepted, and no accepted write is lost.",
    command: WARNINGS,
    next: "`publishing failed; it is not known whether the writes were accepted`: Pub/Sub is not available; clients may retry safely. Full queues: raise max_instances. No log line: App Engine itself answers; check its instances.",
  },
  WritesMissing: {
    meaning:
      "An audit found accepted writes without a receipt, or no audit has succeeded for hours.",
    command: "npm run ops -- audit --since 3h",
    next: "Check the backlog first: a write that waits there is not lost. Without a backlog the write is lost: keep the list, trace its request id, inform its owner. If there is no audit, check the runs of audit.yaml and run it by hand.",
  },
  WritesNotSettling: {
    meaning: "Accepted writes settle late or not at all. Pub/Sub keeps them meanwhile.",
    command: WARNINGS,
    next: "`settling waits for MySQL`: repair MySQL; the backlog then drains. No log line of the subscriber: it does not run, or refuses the pushes (401, 403).",
  },
  LoginRefused: {
    meaning:
      "MySQL is there and refuses the log-in: nothing settles, and reads are answered 503. It does not end by itself, and after half a day Pub/Sub begins to make dead letters of the writes.",
    command:
      "gcloud logging read 'jsonPayload.message=\"MySQL refuses the log-in\"' --freshness=1h --limit=10 --project=PROJECT",
    next: "`code` says why. ER_ACCESS_DENIED_ERROR: the user's password is not the secret's latest version; apply the stack `service`, then roll out again, since processes read the secret when they start. If it takes longer than half a day: `gcloud pubsub subscriptions update constancia-writes-settle --clear-dead-letter-policy --project=PROJECT`; applying the stack sets it again.",
  },
  BacklogOld: {
    meaning:
      "A message has waited so long that the subscriber does not settle, or not fast enough.",
    command: "gcloud app versions list --service=subscriber --project=PROJECT",
    next: "No version with traffic: roll out. All instances in use: raise max_instances and MySQL's tier. Writes are lost only when the subscription's retention ends, after days.",
  },
  DatabaseDiskFull: {
    meaning: "MySQL's disk is close to its maximum size. When it is full, no write settles.",
    command: "gcloud sql instances describe latam-database --project=PROJECT",
    next: "Raise LARGEST_DISK_GB in iac/platform/database.ts and apply the stack `platform`. A disk never shrinks, so find out first what grew: RECEIPT_RETENTION_DAYS limits receipts, nothing limits items.",
  },
  AnswersSlow: {
    meaning: "Too many answers take longer than a second.",
    command: "gcloud app instances list --project=PROJECT",
    next: "Many new instances: keep one running (min_instances). On the dashboard, requests waiting for the pool point to MySQL, a high event-loop delay to the CPU, a long publish batch to Pub/Sub.",
  },
  DeadLetters: {
    meaning:
      "An accepted write cannot be settled. It has no effect until somebody fixes the cause and replays it.",
    command: "npm run ops -- dead-letters list",
    next: "`show ID` prints the reason. Fix the cause, then run `replay --dry-run --all`, then the same without `--dry-run`.",
  },
};

/** The documentation of an alert, which its notification contains. */
export function describeRunbook(symptom: Symptom, projectId: string) {
  const { meaning, command, next } = RUNBOOKS[symptom];
  const content = [
    meaning,
    `Run first:\n\n    ${command}`,
    next,
    `More: docs/operations.md, "${symptom}".`,
  ].join("\n\n");
  return {
    subject: `Constancia, ${projectId}: ${symptom}`,
    content: content.replaceAll("PROJECT", projectId),
  };
}
