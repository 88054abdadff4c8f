import type { Environment } from "./environments.ts";
import { readSettings, type ServiceSettings, type Settings } from "./settings.ts";

/** An environment that no change of iac/environments.ts touches. */
export const ENVIRONMENT: Environment = {
  projectId: "some-project",
  region: "southamerica-east1",
  github: { repository: "someone/constancia", repositoryId: "42", branch: "main" },
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
/** All that can be switched on. */
export const EVERYTHING: Partial<Environment> = {
  delivery: "worker-pool",
  analytics: true,
  fleet: ["another-project"],
  viewers: ["group:oncall@example.com"],
};

/** The settings of that environment with the real files, but for what is changed. */
export function settingsWith(
  changes: {
    environment?: Partial<Environment>;
    api?: Partial<ServiceSettings>;
    subscriber?: Partial<ServiceSettings>;
    variables?: Record<string, string>;
  } = {},
): Settings {
  const settings = readSettings({ ...ENVIRONMENT, ...changes.environment });
  const changed = (service: ServiceSettings, change: Partial<ServiceSettings> = {}) => ({
    ...service,
    ...change,
    variables: { ...service.variables, ...change.variables, ...changes.variables },
  });
  return {
    ...settings,
    api: changed(settings.api, changes.api),
    subscriber: changed(settings.subscriber, changes.subscriber),
  };
}
