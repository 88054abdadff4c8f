import { accessSecret } from "./secrets.ts";
import { PROJECT_PLACEHOLDER, VARIABLES, type Variable } from "./variables.ts";

/** Everything that a process is told from outside. */
export type Config = {
  [Name in keyof typeof VARIABLES]: (typeof VARIABLES)[Name] extends Variable<infer T> ? T : never;
};

export type ApiKey = Config["API_KEYS"][number];

const VARIABLE_NAMES = Object.keys(VARIABLES) as (keyof Config)[];

/** As {@link readConfig}, with the secrets that the environment names. */
export async function loadConfig(
  env: NodeJS.ProcessEnv,
  process: "api" | "subscriber",
  access = accessSecret,
): Promise<Config> {
  return readConfig(await withSecrets(env, namesFor(process), access), process);
}

/** Some of the variables, with their secrets; what {@link loadConfig} is for a whole process. */
export async function loadVariables<Name extends keyof Config>(
  env: NodeJS.ProcessEnv,
  names: readonly Name[],
): Promise<Pick<Config, Name>> {
  const { values, faults } = tryVariables(await withSecrets(env, names, accessSecret), names);
  if (faults.length > 0) throw new ConfigError(faults);
  return values as Pick<Config, Name>;
}

/**
 * Reads a process's variables from the environment. Throws one ConfigError that names every
 * missing and wrong one, without their values, which may be secrets.
 */
export function readConfig(env: NodeJS.ProcessEnv, process: "api" | "subscriber"): Config {
  const names = namesFor(process);
  // What the other process reads stands at its default here, so that there is one Config.
  const others = VARIABLE_NAMES.filter((name) => !names.includes(name));
  const { values, faults } = tryVariables(env, names);
  if (process === "subscriber") faults.push(...contradictions(values));
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...tryVariables({}, others).values, ...values } as Config;
}

function namesFor(process: "api" | "subscriber"): (keyof Config)[] {
  return VARIABLE_NAMES.filter((name) => ["both", process].includes(VARIABLES[name].for));
}

/** The environment with each `NAME` whose `NAME_SECRET` is set read from Secret Manager. */
async function withSecrets(
  env: NodeJS.ProcessEnv,
  names: readonly (keyof Config)[],
  access: typeof accessSecret,
): Promise<NodeJS.ProcessEnv> {
  const faults: string[] = [];
  const read = names.map(async (name) => {
    const pointer = `${name}_SECRET` as keyof Config;
    const version = pointer in VARIABLES ? readValue(env, pointer) : undefined;
    // One of the wrong form is named by readConfig, with all else that is wrong.
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

function tryVariables(
  env: NodeJS.ProcessEnv,
  names: readonly (keyof Config)[],
): { values: Partial<Config>; faults: string[] } {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const name of names) {
    const definition: Variable<unknown> = VARIABLES[name];
    const value = readValue(env, name);
    if (value === undefined) {
      faults.push(`${name} is missing: ${definition.means}`);
      continue;
    }
    const parsed = definition.schema.safeParse(value);
    if (parsed.success) values[name] = parsed.data;
    else faults.push(`${name} ${parsed.error.issues[0]?.message}.`);
  }
  const { MYSQL_URL, MYSQL_PASSWORD } = values as Partial<Config>;
  if (MYSQL_URL && MYSQL_PASSWORD) MYSQL_URL.password = encodeURIComponent(MYSQL_PASSWORD);
  return { values, faults };
}

function readValue(env: NodeJS.ProcessEnv, name: keyof Config): string | undefined {
  const value = env[name] || (VARIABLES[name] as Variable<unknown>).default;
  return value?.replaceAll(PROJECT_PLACEHOLDER, env.GOOGLE_CLOUD_PROJECT ?? "");
}

/** The environment is not usable; the message has a line for each fault. */
export class ConfigError extends Error {
  constructor(faults: readonly string[]) {
    super(`The configuration is not usable:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
    this.name = "ConfigError";
  }
}

/** The table of the variables in Markdown, as the README has it. */
export function describeVariables(): string {
  const rows = Object.entries<Variable<unknown>>(VARIABLES).map(([name, definition]) => {
    const fallback =
      definition.default === undefined
        ? "required"
        : definition.default && `\`${definition.default}\``;
    const who = definition.for === "both" ? "both" : definition.for;
    return `| \`${name}\` | ${who} | ${fallback} | ${definition.means.replaceAll("|", "\\|")} |`;
  });
  return ["| variable | read by | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

function contradictions(config: Partial<Config>): string[] {
  const faults: string[] = [];
  if (config.PUSH_AUTH === "off" && !config.PUBSUB_EMULATOR_HOST)
    faults.push("PUSH_AUTH may be off only with PUBSUB_EMULATOR_HOST.");
  if (config.PUSH_CERTS_URL && !config.PUBSUB_EMULATOR_HOST)
    faults.push("PUSH_CERTS_URL may be set only with PUBSUB_EMULATOR_HOST.");
  if (config.DELIVERY === "push" && config.PUSH_AUTH === "on") {
    if (!config.PUSH_AUDIENCE) faults.push("PUSH_AUDIENCE is missing: push needs it.");
    if (!config.PUSH_SERVICE_ACCOUNT)
      faults.push("PUSH_SERVICE_ACCOUNT is missing: push needs it.");
  }
  return faults;
}
