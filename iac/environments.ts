/** What is decided for each environment; everything else is the same in all of them. */
export type Environment = {
  projectId: string;
  /** Of App Engine, the database and the state; App Engine's can never be changed. */
  region: string;
  /** Whose workflows may deploy: only this branch of this repository. */
  github: {
    repository: string;
    /** The number that GitHub gave it: a name can be given up, and taken by a stranger. */
    repositoryId: string;
    branch: string;
  };
  tier: Tier;
  /** Whether a zone's failure is bridged, at twice the price; meanwhile writes are held, not lost. */
  availability: "ZONAL" | "REGIONAL";
  /** `push` to App Engine, which scales to zero, or a Cloud Run worker pool that pulls. */
  delivery: "push" | "worker-pool";
  /** Instances of the worker pool: it does not scale by itself. */
  workerPoolInstances: number;
  /** Whether every write is also kept in BigQuery. */
  analytics: boolean;
  /**
   * Whether it is asked for its health every minute and audited every hour, and the silence of
   * either is an alert. One instance of the API then never sleeps.
   */
  isWatched: boolean;
  /** Projects whose metrics this one sees too; its fleet dashboard shows them beside its own. */
  fleet: readonly string[];
  /** Who may see dashboards, logs and traces, beside the owners: `group:oncall@example.com`. */
  viewers: readonly string[];
  /** How long MySQL or the subscriber may be away without a single write given up. */
  toleratedOutageHours: number;
};

/** Connections that Cloud SQL for MySQL takes by default (its page of quotas and limits). */
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
  github: {
    // Yours: `gh api repos/OWNER/NAME --jq .id` tells the number.
    repository: "constancia-example/constancia",
    repositoryId: "1000000001",
    branch: "main",
  },
  availability: "ZONAL",
  delivery: "push",
  workerPoolInstances: 1,
  analytics: false,
  isWatched: false,
  fleet: [],
  viewers: [],
  toleratedOutageHours: 12,
} as const satisfies Partial<Environment>;

/** Change the projects to yours; their ids are taken by nobody else in the world. */
export const ENVIRONMENTS: Record<string, Environment> = {
  // The smallest machine that is no shared one, which Google gives no promise for.
  production: {
    ...SHARED,
    projectId: "constancia-production",
    tier: "db-custom-1-3840",
    isWatched: true,
    fleet: ["constancia-staging"],
  },
  staging: { ...SHARED, projectId: "constancia-staging", tier: "db-f1-micro" },
};

const PROJECT_ID = /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/;

/** Finds one by its name; what is wrong with the name or the entry is told in sentences. */
export function findEnvironment(
  name: string | undefined,
  environments: Record<string, Environment> = ENVIRONMENTS,
): Environment {
  const known = Object.keys(environments).join(", ");
  if (!name) throw new UsageError(`--environment is missing: it is one of ${known}.`);
  if (!Object.hasOwn(environments, name)) {
    throw new UsageError(
      `There is no environment "${name}": iac/environments.ts declares ${known}.`,
    );
  }
  const environment = environments[name] as Environment;
  const faults = getFaults(environment);
  if (faults.length === 0) return environment;
  throw new UsageError(`iac/environments.ts, ${name}: ${faults.join("; ")}.`);
}

/** The command was given something that it cannot work with. */
export class UsageError extends Error {
  override name = "UsageError";
}

function getFaults(environment: Environment): string[] {
  const { github, workerPoolInstances, toleratedOutageHours, fleet, viewers } = environment;
  const wrongOnes = fleet.filter((id) => id === environment.projectId || !PROJECT_ID.test(id));
  const strangers = viewers.filter((member) => !/^(user|group|domain):[\w.@+-]+$/.test(member));
  const rules: [boolean, string][] = [
    [
      PROJECT_ID.test(environment.projectId),
      `projectId "${environment.projectId}" is not 6 to 30 small letters, digits and hyphens`,
    ],
    [
      /^[a-z]+-[a-z]+\d+$/.test(environment.region),
      `region "${environment.region}" is not the name of a region`,
    ],
    // Both go into an expression that decides who may deploy, so nothing in them may be syntax.
    [
      /^[A-Za-z0-9-]+\/[\w.-]+$/.test(github.repository),
      `github.repository "${github.repository}" is not OWNER/NAME`,
    ],
    [
      /^\d{1,20}$/.test(github.repositoryId),
      `github.repositoryId "${github.repositoryId}" is not a number`,
    ],
    [/^[\w./-]+$/.test(github.branch), `github.branch "${github.branch}" is not a branch`],
    [
      Object.hasOwn(CONNECTION_LIMITS, environment.tier),
      `tier "${environment.tier}" has no number of connections in CONNECTION_LIMITS`,
    ],
    [
      Number.isInteger(workerPoolInstances) && workerPoolInstances >= 1,
      `workerPoolInstances is ${workerPoolInstances}, and one is the least`,
    ],
    [wrongOnes.length === 0, `fleet has "${wrongOnes[0]}", which is no other project`],
    [
      strangers.length === 0,
      `viewers has "${strangers[0]}", which is not user:, group: or domain: and a name`,
    ],
    [
      toleratedOutageHours >= 1,
      `toleratedOutageHours is ${toleratedOutageHours}, and 1 is the least`,
    ],
  ];
  return rules.filter(([holds]) => !holds).map(([, fault]) => fault);
}
