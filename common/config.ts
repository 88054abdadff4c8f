import { RATE_LIMIT_PER_MINUTE } from "./limits.ts";
import { accessSecret } from "./secrets.ts";
import { PROJECT_PLACEHOLDER, VARIABLES, type Variable } from "./variables.ts";

export type ProcessName = "api" | "subscriber";

type Values = {
  -readonly [Name in keyof typeof VARIABLES]: (typeof VARIABLES)[Name] extends Variable<infer T>
    ? T
    : never;
};

/** The configuration of a process: every variable, parsed, and those that depend on others decided. */
export type Config = Values & {
  ACCESS: NonNullable<Values["ACCESS"]>;
  RATE_LIMIT_PER_MINUTE: number;
};

const VARIABLE_NAMES = Object.keys(VARIABLES) as (keyof Config)[];

/**
 * Reads a process's configuration from the environment and from Secret Manager. Throws one
 * {@link ConfigError} that names every missing and every wrong variable.
 */
export async function loadConfig(
  reader: ProcessName,
  env: NodeJS.ProcessEnv = process.env,
  access = accessSecret,
): Promise<Config> {
  return readConfig(await resolveSecrets(env, listVariables(reader), access), reader);
}

/** As {@link loadConfig}, for a command that needs only some of the variables. */
export async function loadVariables<Name extends keyof Config>(
  names: readonly Name[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Pick<Config, Name>> {
  const { values, faults } = parseVariables(await resolveSecrets(env, names, accessSecret), names);
  if (faults.length > 0) throw new ConfigError(faults);
  return values as Pick<Config, Name>;
}

/**
 * Reads a process's configuration from the environment alone. The {@link ConfigError} that it throws
 * never quotes a value, which may be a secret.
 */
export function readConfig(env: NodeJS.ProcessEnv, reader: ProcessName): Config {
  const names = listVariables(reader);
  const { values, faults } = parseVariables(env, names);
  if (reader === "subscriber") faults.push(...findContradictions(values));
  else faults.push(...decideAccess(values, env));
  if (faults.length > 0) throw new ConfigError(faults);
  // Variables of the other process keep their defaults, so that both processes have one type.
  const others = VARIABLE_NAMES.filter((name) => !names.includes(name));
  return { ...parseVariables({}, others).values, ...values } as Config;
}

function listVariables(reader: ProcessName): (keyof Config)[] {
  return VARIABLE_NAMES.filter((name) => ["both", reader].includes(VARIABLES[name].for));
}

/** The environment, with each `NAME` whose `NAME_SECRET` is set read from Secret Manager. */
async function resolveSecrets(
  env: NodeJS.ProcessEnv,
  names: readonly (keyof Config)[],
  access: typeof accessSecret,
): Promise<NodeJS.ProcessEnv> {
  const faults: string[] = [];
  const read = names.map(async (name) => {
    const pointer = `${name}_SECRET` as keyof Config;
    const version = pointer in VARIABLES ? readValue(env, pointer) : undefined;
    // A malformed one is reported by parseVariables, together with all else that is wrong.
    if (!version || !VARIABLES[pointer].schema.safeParse(version).success) return [];
    if (env[name]) {
      faults.push(`${name} and ${pointer} are both set; only one may be.`);
      return [];
    }
    return await access(version).then(
      (value) => [[name, value]],
      (error: Error) => {
        faults.push(`${pointer} cannot be read: ${error.message}.`);
        return [];
      },
    );
  });
  const secrets = Object.fromEntries((await Promise.all(read)).flat());
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...env, ...secrets };
}

function parseVariables(
  env: NodeJS.ProcessEnv,
  names: readonly (keyof Config)[],
): { values: Partial<Values>; faults: string[] } {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const name of names) {
    const { schema, description }: Variable<unknown> = VARIABLES[name];
    const value = readValue(env, name);
    if (value === undefined) {
      faults.push(`${name} is missing: ${description}`);
      continue;
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) values[name] = parsed.data;
    else faults.push(`${name} ${parsed.error.issues[0]?.message}.`);
  }
  const { MYSQL_URL, MYSQL_PASSWORD } = values as Partial<Values>;
  if (MYSQL_URL && MYSQL_PASSWORD) MYSQL_URL.password = encodeURIComponent(MYSQL_PASSWORD);
  return { values, faults };
}

/** An empty variable counts as one that is not set. */
function readValue(env: NodeJS.ProcessEnv, name: keyof Config): string | undefined {
  const value = env[name] || (VARIABLES[name] as Variable<unknown>).default;
  return value?.replaceAll(PROJECT_PLACEHOLDER, env.GOOGLE_CLOUD_PROJECT ?? "");
}

/**
 * Decides how often the API may be called, and in development by whom, where that is not set; returns
 * what contradicts it. In production, which has no emulator, it must be said that anyone may call the
 * API, and such an API has a limit.
 */
function decideAccess(config: Partial<Values>, env: NodeJS.ProcessEnv): string[] {
  const faults: string[] = [];
  if (env.API_KEYS_FOR)
    faults.push(
      "API_KEYS_FOR was replaced by ACCESS: instead of writes, set ACCESS=public-reads; instead of everything, ACCESS=keys.",
    );
  // Undefined where it is wrong, which is another fault.
  const isAnonymous = config.API_KEYS?.length === 0 && config.OIDC_ISSUERS?.length === 0;
  const isDevelopment = Boolean(config.PUBSUB_EMULATOR_HOST);
  if (!env.ACCESS && !isDevelopment)
    faults.push("ACCESS is missing: public, public-reads or keys must say who may call the API.");
  config.ACCESS ??= isAnonymous ? "public" : "public-reads";
  if (config.ACCESS !== "public" && isAnonymous)
    faults.push(`ACCESS is ${config.ACCESS}, which requires API_KEYS or OIDC_ISSUERS.`);
  config.RATE_LIMIT_PER_MINUTE ??= isDevelopment ? 0 : RATE_LIMIT_PER_MINUTE;
  if (config.RATE_LIMIT_PER_MINUTE === 0 && config.ACCESS !== "keys" && !isDevelopment)
    faults.push("RATE_LIMIT_PER_MINUTE may be 0 only with ACCESS=keys or PUBSUB_EMULATOR_HOST.");
  if (!isDevelopment && config.OIDC_ISSUERS?.some(({ issuer }) => issuer.startsWith("http:")))
    faults.push("OIDC_ISSUERS may have an http issuer only with PUBSUB_EMULATOR_HOST.");
  return faults;
}

function findContradictions(config: Partial<Config>): string[] {
  const faults: string[] = [];
  if (config.PUSH_AUTH === "off" && !config.PUBSUB_EMULATOR_HOST)
    faults.push("PUSH_AUTH may be off only with PUBSUB_EMULATOR_HOST.");
  if (config.PUSH_CERTS_URL && !config.PUBSUB_EMULATOR_HOST)
    faults.push("PUSH_CERTS_URL may be set only with PUBSUB_EMULATOR_HOST.");
  if (config.DELIVERY === "push" && config.PUSH_AUTH === "on") {
    if (!config.PUSH_AUDIENCE) faults.push("PUSH_AUDIENCE is missing: DELIVERY=push requires it.");
    if (!config.PUSH_SERVICE_ACCOUNT)
      faults.push("PUSH_SERVICE_ACCOUNT is missing: DELIVERY=push requires it.");
  }
  return faults;
}

/** The configuration is invalid; the message has a line for each fault. */
export class ConfigError extends Error {
  override name = "ConfigError";

  constructor(faults: readonly string[]) {
    super(`The configuration is invalid:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
  }
}

/** The README's table of variables, in Markdown. */
export function describeVariables(): string {
  const rows = Object.entries<Variable<unknown>>(VARIABLES).map(([name, variable]) => {
    const fallback =
      variable.default === undefined ? "required" : variable.default && `\`${variable.default}\``;
    const description = variable.description.replaceAll("|", "\\|");
    return `| \`${name}\` | ${variable.for} | ${fallback} | ${description} |`;
  });
  return ["| variable | read by | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

/** Whether `X-Appengine-Cron` is the cron's own: App Engine removes it from the requests of others. */
export function stripsCronHeader({ GAE_SERVICE, PUBSUB_EMULATOR_HOST }: Config): boolean {
  return Boolean(GAE_SERVICE || PUBSUB_EMULATOR_HOST);
}
