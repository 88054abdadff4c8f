import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { collections } from "../collections/collections.ts";
import { PROJECT_PLACEHOLDER, VARIABLES } from "../common/variables.ts";
import { UsageError } from "../ops/command-line.ts";
import type { Environment } from "./environments.ts";

const ROOT = join(import.meta.dirname, "..");

/** The memory of App Engine's instance classes with automatic scaling. */
export const MEMORY_MB: Record<string, number> = { F1: 384, F2: 768, F4: 1_536, F4_1G: 3_072 };

/** Everything that the stacks are built from. */
export type Settings = {
  environment: Environment;
  api: ServiceSettings;
  subscriber: ServiceSettings;
  database: DatabaseAddress;
  cron: readonly CronJob[];
  /** Whether a collection's items expire. */
  hasExpiry: boolean;
};

/** A job of cron.yaml. */
export type CronJob = { url: string; target: string; schedule: string };

/** The settings of one App Engine service from its file, with the project's id filled in. */
export type ServiceSettings = {
  file: "app.yaml" | "subscriber.yaml";
  service: string;
  serviceAccount: string;
  instanceClass: string;
  /** For each version. */
  maxInstances: number;
  /** For each instance. */
  maxConcurrentRequests: number;
  /** The maximum of connections to MySQL for each instance. */
  poolSize: number;
  variables: Record<string, string>;
};

/** The parts of MYSQL_URL. */
export type DatabaseAddress = {
  /** PROJECT:REGION:INSTANCE. */
  connectionName: string;
  user: string;
  database: string;
};

/** Reads app.yaml, subscriber.yaml and cron.yaml for the environment. */
export function readSettings(environment: Environment, folder = ROOT): Settings {
  const api = readService("app.yaml", environment, folder);
  const subscriber = readService("subscriber.yaml", environment, folder);
  const { cron } = parse(readText(join(folder, "cron.yaml"), "cron.yaml")) as { cron: CronJob[] };
  const hasExpiry = collections.some(({ expires }) => expires);
  return { environment, api, subscriber, database: getDatabaseAddress(api), cron, hasExpiry };
}

/** The value of a variable, or its default. */
export function getVariable(service: ServiceSettings, name: keyof typeof VARIABLES): string {
  return service.variables[name] ?? VARIABLES[name].default ?? "";
}

/** The NAME in projects/…/secrets/NAME/versions/…, or undefined where the service reads no secret. */
export function getSecret(
  service: ServiceSettings,
  name: "MYSQL_PASSWORD_SECRET" | "API_KEYS_SECRET",
): string | undefined {
  return /\/secrets\/([^/]+)\//.exec(getVariable(service, name))?.[1];
}

/** Parses MYSQL_URL of the service, which must name the Cloud SQL socket of App Engine. */
export function getDatabaseAddress(service: ServiceSettings): DatabaseAddress {
  const url = URL.parse(getVariable(service, "MYSQL_URL"));
  const [, connectionName] =
    /^\/cloudsql\/(.+)$/.exec(url?.searchParams.get("socketPath") ?? "") ?? [];
  if (!url || !connectionName) {
    throw new UsageError(
      `${service.file}: MYSQL_URL must have ?socketPath=/cloudsql/PROJECT:REGION:INSTANCE.`,
    );
  }
  return { connectionName, user: url.username, database: url.pathname.slice(1) };
}

type AppYaml = {
  service?: string;
  service_account?: string;
  instance_class?: string;
  automatic_scaling?: { max_instances?: unknown; max_concurrent_requests?: unknown };
  env_variables?: Record<string, unknown>;
};

function readService(
  file: ServiceSettings["file"],
  environment: Environment,
  folder: string,
): ServiceSettings {
  const text = readText(join(folder, file), file);
  const yaml = parse(text.replaceAll(PROJECT_PLACEHOLDER, environment.projectId)) as AppYaml;
  const variables = Object.fromEntries(
    Object.entries(yaml.env_variables ?? {}).map(([name, value]) => [name, String(value)]),
  );
  const scaling = yaml.automatic_scaling ?? {};
  return {
    file,
    service: requireText(yaml.service, "service"),
    serviceAccount: requireText(yaml.service_account, "service_account"),
    instanceClass: requireText(yaml.instance_class, "instance_class"),
    maxInstances: readWholeNumber(scaling.max_instances, "automatic_scaling.max_instances"),
    maxConcurrentRequests: readWholeNumber(
      scaling.max_concurrent_requests,
      "automatic_scaling.max_concurrent_requests",
    ),
    poolSize: readPoolSize(variables.MYSQL_POOL_SIZE),
    variables,
  };

  function requireText(value: unknown, name: string): string {
    if (typeof value === "string" && value !== "") return value;
    throw new UsageError(`${file}: ${name} is missing.`);
  }

  /** Parses it as the process does. App Engine allows an instance 100 connections to Cloud SQL. */
  function readPoolSize(value = VARIABLES.MYSQL_POOL_SIZE.default ?? ""): number {
    const { data, error } = VARIABLES.MYSQL_POOL_SIZE.schema.safeParse(value);
    if (data !== undefined) return data;
    const rule = error?.issues[0]?.message;
    throw new UsageError(`${file}: env_variables.MYSQL_POOL_SIZE is "${value}", but ${rule}.`);
  }

  /** Required, because Google's defaults may change and these limit the number of connections. */
  function readWholeNumber(value: unknown, name: string): number {
    if (Number.isInteger(value) && (value as number) > 0) return value as number;
    throw new UsageError(`${file}: ${name} must be a whole number above 0, not "${value}".`);
  }
}

function readText(path: string, file: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}
