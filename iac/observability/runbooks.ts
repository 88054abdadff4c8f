/** The names of the alerts: a symptom each, the same here and in the local rules. By urgency. */
export const SYMPTOMS = [
  "ApiDown",
  "WritesRefused",
  "WritesMissing",
  "WritesNotSettling",
  "BacklogOld",
  "DatabaseDiskFull",
  "AnswersSlow",
  "DeadLetters",
] as const;
export type Symptom = (typeof SYMPTOMS)[number];

type Runbook = {
  /** What clients notice, in one sentence. */
  means: string;
  /** The command to run first; PROJECT is filled in. */
  command: string;
  /** What it may tell, and what to do then. */
  next: string;
};

const WARNINGS =
  "gcloud logging read 'resource.type=\"gae_app\" severity>=WARNING' --freshness=1h --limit=50 --project=PROJECT";

/** What whoever is woken reads first; docs/operations.md has a section of each name with more. */
export const RUNBOOKS: Record<Symptom, Runbook> = {
  ApiDown: {
    means: "The API is not ready, or cannot be reached, from more than one part of the world.",
    command: "npm run rollout -- --status --project=PROJECT",
    next: "If a version is new, put the last one back: `npm run rollout -- --rollback --project=PROJECT`. Else `GET /health/ready` names the tables that lack something, or says that MySQL cannot be asked.",
  },
  WritesRefused: {
    means:
      "Clients' writes are answered 5xx: nothing of theirs is lost, but it is not accepted either.",
    command: WARNINGS,
    next: "`publishing failed; the write's fate is unknown`: Pub/Sub is away, and retries are safe. Full queues: raise max_instances. No line at all: App Engine itself refuses; look at its instances.",
  },
  WritesMissing: {
    means:
      "An audit found accepted writes without a receipt, or no audit has said for hours that there are none.",
    command: "npm run ops -- audit --since 3h",
    next: "Look at the backlog first: what waits there is not lost. With no backlog it is a lost write: keep the list, follow its request id, tell its owner. No audit: see the runs of audit.yaml, and run it by hand.",
  },
  WritesNotSettling: {
    means: "Accepted writes are settled late, or not at all; they are safe in Pub/Sub meanwhile.",
    command: WARNINGS,
    next: "`settling waits for MySQL`: mend MySQL, and the backlog drains by itself. No line of the subscriber: it does not run, or its pushes are refused (401, 403).",
  },
  BacklogOld: {
    means:
      "A message has waited for so long that the subscriber does not settle at all, or not fast enough.",
    command: "gcloud app versions list --service=subscriber --project=PROJECT",
    next: "No version with traffic: roll out. Instances at their most: raise max_instances and MySQL's tier. There are days until the subscription's retention ends; past that, writes are lost.",
  },
  DatabaseDiskFull: {
    means:
      "MySQL's disk nears the most that it may grow to; once it is full, nothing settles any more.",
    command: "gcloud sql instances describe latam-database --project=PROJECT",
    next: "Raise LARGEST_DISK_GB in iac/platform/database.ts and apply the stack `platform`. A disk never shrinks, so ask what grew before: RECEIPT_RETENTION_DAYS bounds receipts, nothing bounds items.",
  },
  AnswersSlow: {
    means: "More answers than promised take longer than a second.",
    command: "gcloud app instances list --project=PROJECT",
    next: "Many starts: keep one instance (min_instances). On the dashboard: a pool with requests waiting is MySQL, a high event-loop delay is the processor, a long publish batch is Pub/Sub.",
  },
  DeadLetters: {
    means:
      "An accepted write cannot be settled, and has no effect until a person mends the cause and replays it.",
    command: "npm run ops -- dead-letters list",
    next: "`show ID` tells the reason. Mend the cause, then `replay --dry-run --all`, then without `--dry-run`.",
  },
};

/** As the alert's own documentation, which stands in its e-mail. */
export function describeRunbook(symptom: Symptom, projectId: string) {
  const { means, command, next } = RUNBOOKS[symptom];
  const content = [
    means,
    `Run first:\n\n    ${command}`,
    next,
    `More: docs/operations.md, "${symptom}".`,
  ].join("\n\n");
  return {
    subject: `Constancia, ${projectId}: ${symptom}`,
    content: content.replaceAll("PROJECT", projectId),
  };
}
