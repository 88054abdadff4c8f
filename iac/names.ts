/** What is named here is named nowhere else; the rest is read from app.yaml and subscriber.yaml. */
export const DATABASE_INSTANCE = "latam-database";
export const DEAD_LETTER_TOPIC = "constancia-dead-letters";
export const ANALYTICS = {
  /** BigQuery takes no hyphens. */
  dataset: "constancia_analytics",
  table: "writes",
  subscription: "constancia-writes-analytics",
};
/** Where ops/audit-cloud.sh writes what an audit found. */
export const AUDIT_LOG = "constancia-audit";
export const WORKER_POOL = "constancia-subscriber";
export const IMAGE_REPOSITORY = "constancia-images";
export const GITHUB = { pool: "constancia-github", provider: "constancia-github" };
export const DEPLOYER_ROLE = "constanciaDeployer";

/** Who acts; each is an account with no more rights than its part needs. */
export const ACCOUNTS = {
  api: "constancia-api",
  subscriber: "constancia-subscriber",
  /** Whom Pub/Sub's pushes come from; it may do nothing, the subscriber only wants to see it. */
  push: "constancia-push",
  deployer: "constancia-deployer",
  /** Looks every hour whether an accepted write is missing. */
  auditor: "constancia-auditor",
} as const;

export function getServiceAccountEmail(account: keyof typeof ACCOUNTS, projectId: string): string {
  return `${ACCOUNTS[account]}@${projectId}.iam.gserviceaccount.com`;
}

/** The member that IAM grants something to. */
export function getIamMember(account: keyof typeof ACCOUNTS, projectId: string): string {
  return `serviceAccount:${getServiceAccountEmail(account, projectId)}`;
}

/** Google's own account, as which Pub/Sub forwards dead letters and makes push tokens. */
export function getPubsubAgent(projectNumber: string): string {
  return `serviceAccount:service-${projectNumber}@gcp-sa-pubsub.iam.gserviceaccount.com`;
}

/** Terraform's state of all stacks; the names of buckets are the whole world's. */
export function getStateBucketName(projectId: string): string {
  return `constancia-state-${projectId}`;
}
