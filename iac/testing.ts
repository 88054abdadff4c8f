import assert from "node:assert/strict";
import type { Environment, GithubBranch } from "./environments.ts";
import { readSettings, type ServiceSettings, type Settings } from "./settings.ts";
import { listResources, type Properties, type Stacks } from "./terraform-json.ts";

/** An environment that does not depend on iac/environments.ts. */
export const ENVIRONMENT: Environment & { github: GithubBranch } = {
  projectId: "some-project",
  region: "southamerica-east1",
  github: { repository: "gabriela/constancia", repositoryId: "42", branch: "main" },
  tier: "db-custom-1-3840",
  availability: "ZONAL",
  delivery: "push",
  workerPoolInstances: 2,
  analytics: false,
  isWatched: true,
  fleet: [],
  viewers: [],
  toleratedOutageHours: 12,
};
/** Every optional feature. */
export const EVERYTHING: Partial<Environment> = {
  delivery: "worker-pool",
  analytics: true,
  fleet: ["another-project"],
  viewers: ["group:oncall@example.com"],
};

/** The settings of that environment from the real files, with the given changes. */
export function settingsWith(
  changes: {
    environment?: Partial<Environment>;
    api?: Partial<ServiceSettings>;
    subscriber?: Partial<ServiceSettings>;
    variables?: Record<string, string>;
    cron?: Settings["cron"];
    hasExpiry?: boolean;
  } = {},
): Settings {
  const settings = readSettings({ ...ENVIRONMENT, ...changes.environment });
  const applyChange = (service: ServiceSettings, change: Partial<ServiceSettings> = {}) => ({
    ...service,
    ...change,
    variables: { ...service.variables, ...change.variables, ...changes.variables },
  });
  return {
    ...settings,
    api: applyChange(settings.api, changes.api),
    subscriber: applyChange(settings.subscriber, changes.subscriber),
    cron: changes.cron ?? settings.cron,
    hasExpiry: changes.hasExpiry ?? settings.hasExpiry,
  };
}

/** The properties of the resource with that address. */
export function findResource(stacks: Stacks, address: string): Properties {
  const [type = ""] = address.split(".");
  const found = listResources(stacks, type).find((resource) => resource.address === address);
  assert.ok(found, `${address} does not exist`);
  return found.properties;
}
