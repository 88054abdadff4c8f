/** Names of resources. Those that the processes know are in app.yaml and subscriber.yaml instead. */
const DATABASE_INSTANCE = "latam-database";
export const DEAD_LETTER_TOPIC = "constancia-dead-letters";
export const ANALYTICS = {
  /** BigQuery allows no hyphens. */
  dataset: "constancia_analytics",
  table: "writes",
  subscription: "constancia-writes-analytics",
};
/** The lines of API_KEYS, which `npm run ops -- keys` writes. */
export const API_KEYS_SECRET = "constancia-api-keys";
/** The key by which a rollout tests a version, where the API requires one. */
export const ROLLOUT_KEY_SECRET = "constancia-rollout-key";
/** The log to which ops/audit-cloud.sh writes an audit's result. */
export const AUDIT_LOG = "constancia-audit";
export const WORKER_POOL = "constancia-subscriber";
export const IMAGE_REPOSITORY = "constancia-images";
export const GITHUB = { pool: "constancia-github", provider: "constancia-github" };
export const DEPLOYER_ROLE = "constanciaDeployer";

/** The service accounts, each with only the roles that it needs. */
export const ACCOUNTS = {
  api: "constancia-api",
  subscriber: "constancia-subscriber",
  /** Signs the tokens of Pub/Sub's pushes, which the subscriber verifies; it has no roles. */
  push: "constancia-push",
  deployer: "constancia-deployer",
  /** Runs the hourly audit for missing writes. */
  auditor: "constancia-auditor",
} as const;

/** The MySQL instance: a point-in-time recovery makes a new one, which has another name. */
export function getDatabaseInstance({ databaseInstance }: { databaseInstance?: string }): string {
  return databaseInstance ?? DATABASE_INSTANCE;
}

/** The e-mail address of a service account. */
export function getServiceAccountEmail(account: keyof typeof ACCOUNTS, projectId: string): string {
  return `${ACCOUNTS[account]}@${projectId}.iam.gserviceaccount.com`;
}

/**
 * The account by which App Engine builds versions, as `gcloud app describe` prints it. A deploy compares
 * the two, because Google may choose another one for a new application.
 */
export function getBuildAccount(environment: { buildAccount?: string; projectId: string }): string {
  return environment.buildAccount ?? `${environment.projectId}@appspot.gserviceaccount.com`;
}

/** A service account as IAM names it. */
export function getIamMember(account: keyof typeof ACCOUNTS, projectId: string): string {
  return `serviceAccount:${getServiceAccountEmail(account, projectId)}`;
}

/** Pub/Sub's service agent: it forwards dead letters and requests the tokens of pushes. */
export function getPubsubAgent(projectNumber: string): string {
  return `serviceAccount:service-${projectNumber}@gcp-sa-pubsub.iam.gserviceaccount.com`;
}

/** The bucket of Terraform's state. Bucket names are global, so it contains the project's id. */
export function getStateBucketName(projectId: string): string {
  return `constancia-state-${projectId}`;
}
