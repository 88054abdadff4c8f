import { UsageError } from "../ops/command-line.ts";
import { getBuildAccount, getDatabaseInstance } from "./names.ts";

/** The settings that differ between environments. */
export type Environment = {
  projectId: string;
  /** The region of App Engine, the database and Terraform's state. App Engine's cannot be changed. */
  region: string;
  /** The repository and branch whose workflows may deploy and audit; without it, none may. */
  github?: GithubBranch;
  /** App Engine's account for builds, where `gcloud app describe` prints another than the usual one. */
  buildAccount?: string;
  /** The MySQL instance, where a restore has made a new one (docs/operations.md). */
  databaseInstance?: string;
  tier: Tier;
  /** REGIONAL keeps MySQL available if a zone fails, at twice the price. No write is lost with ZONAL. */
  availability: "ZONAL" | "REGIONAL";
  /** `push` to an App Engine service, which scales to zero, or a Cloud Run worker pool that pulls. */
  delivery: "push" | "worker-pool";
  /** Instances of the worker pool, which does not scale automatically. */
  workerPoolInstances: number;
  /** Whether every accepted write is also copied to BigQuery. */
  analytics: boolean;
  /**
   * Whether there is an uptime check every minute and an alert if the hourly audit stops. The check
   * keeps one instance of the API running all the time.
   */
  isWatched: boolean;
  /**
   * Other projects whose metrics this project shows, on a dashboard of all systems. Google refuses a
   * project that does not exist or that you may not watch, so name it after its own first deploy.
   */
  fleet: readonly string[];
  /** Who may see dashboards, logs and traces beside the owners: `group:oncall@example.com`. */
  viewers: readonly string[];
  /** How long MySQL or the subscriber may be unavailable without a write becoming a dead letter. */
  toleratedOutageHours: number;
};

export type GithubBranch = {
  /** OWNER/NAME. */
  repository: string;
  /** GitHub's number of the repository; somebody else could take over the name. */
  repositoryId: string;
  branch: string;
};

/** The default `max_connections` of Cloud SQL for MySQL by tier, from its page of quotas and limits. */
export const CONNECTION_LIMITS = {
  "db-f1-micro": 250,
  "db-g1-small": 1_000,
  "db-custom-1-3840": 4_000,
  "db-custom-2-7680": 4_000,
  "db-custom-4-15360": 4_000,
} as const;
export type Tier = keyof typeof CONNECTION_LIMITS;

const SHARED = {
  region: "southamerica-east1",
  // To deploy from GitHub, declare your repository: whoever can push to its branch can deploy.
  // `gh api repos/OWNER/NAME --jq .id` prints the number.
  // github: { repository: "OWNER/NAME", repositoryId: "NUMBER", branch: "main" },
  availability: "ZONAL",
  delivery: "push",
  workerPoolInstances: 1,
  analytics: false,
  isWatched: false,
  fleet: [],
  viewers: [],
  toleratedOutageHours: 12,
} as const satisfies Partial<Environment>;

/** Change the project ids to yours; project ids are globally unique. */
export const ENVIRONMENTS: Record<string, Environment> = {
  // The smallest tier with a dedicated core; Google's SLA does not cover shared cores.
  production: {
    ...SHARED,
    projectId: "constancia-production",
    tier: "db-custom-1-3840",
    isWatched: true,
  },
  staging: { ...SHARED, projectId: "constancia-staging", tier: "db-f1-micro" },
};

/** Owners in examples. On GitHub somebody may have such a name, and could then deploy. */
const PLACEHOLDER_OWNERS = /^(owner|your-org|constancia-example)\//i;

const PROJECT_ID = /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/;

/** The environment of that name. Throws a {@link UsageError} that lists everything wrong with it. */
export function findEnvironment(
  name: string | undefined,
  environments: Record<string, Environment> = ENVIRONMENTS,
): Environment {
  const known = Object.keys(environments).join(", ");
  if (!name) throw new UsageError(`--environment is required: ${known}.`);
  if (!Object.hasOwn(environments, name)) {
    throw new UsageError(
      `There is no environment "${name}". iac/environments.ts declares ${known}.`,
    );
  }
  const environment = environments[name] as Environment;
  const faults = findFaults(environment);
  if (faults.length === 0) return environment;
  throw new UsageError(`iac/environments.ts, ${name}: ${faults.join("; ")}.`);
}

function findFaults(environment: Environment): string[] {
  const { workerPoolInstances, toleratedOutageHours, fleet, viewers } = environment;
  const wrongOnes = fleet.filter((id) => id === environment.projectId || !PROJECT_ID.test(id));
  const strangers = viewers.filter((member) => !/^(user|group|domain):[\w.@+-]+$/.test(member));
  const rules: [boolean, string][] = [
    [
      PROJECT_ID.test(environment.projectId),
      `projectId "${environment.projectId}" must be 6 to 30 lowercase letters, digits and hyphens`,
    ],
    [
      /^[a-z]+-[a-z]+\d+$/.test(environment.region),
      `region "${environment.region}" is not a region`,
    ],
    ...(environment.github ? getGithubRules(environment.github) : []),
    [
      Object.hasOwn(CONNECTION_LIMITS, environment.tier),
      `tier "${environment.tier}" is not in CONNECTION_LIMITS`,
    ],
    [
      // With the project and a colon at most 98 characters; the project has at most 30.
      /^[a-z](?:[a-z0-9-]{0,65}[a-z0-9])?$/.test(getDatabaseInstance(environment)),
      `databaseInstance "${environment.databaseInstance}" is not the name of an instance`,
    ],
    [
      Number.isInteger(workerPoolInstances) && workerPoolInstances >= 1,
      `workerPoolInstances is ${workerPoolInstances}, but must be at least 1`,
    ],
    [
      /^[a-z0-9][a-z0-9.-]*@[a-z0-9.-]+\.gserviceaccount\.com$/.test(getBuildAccount(environment)),
      `buildAccount "${environment.buildAccount}" is not a service account's e-mail address`,
    ],
    [wrongOnes.length === 0, `fleet has "${wrongOnes[0]}", which is not another project`],
    [
      strangers.length === 0,
      `viewers has "${strangers[0]}", which must be user:, group: or domain: and a name`,
    ],
    [
      toleratedOutageHours >= 1,
      `toleratedOutageHours is ${toleratedOutageHours}, but must be at least 1`,
    ],
  ];
  return rules.filter(([holds]) => !holds).map(([, fault]) => fault);
}

/** These become part of an expression that decides who may deploy, so they may contain no syntax. */
function getGithubRules({ repository, repositoryId, branch }: GithubBranch): [boolean, string][] {
  return [
    [
      /^[A-Za-z0-9-]+\/[\w.-]+$/.test(repository),
      `github.repository "${repository}" is not OWNER/NAME`,
    ],
    [
      !PLACEHOLDER_OWNERS.test(repository),
      `github.repository "${repository}" is a placeholder, whose owner on GitHub could deploy; name` +
        " your repository, or leave out github",
    ],
    [/^\d{1,20}$/.test(repositoryId), `github.repositoryId "${repositoryId}" is not a number`],
    [/^[\w./-]+$/.test(branch), `github.branch "${branch}" is not a branch`],
  ];
}
