import { z } from "zod";

/** One environment variable: what it means, for the README's table, and how it is read. */
type Variable<T> = {
  for: "both" | "api" | "subscriber";
  means: string;
  default?: string;
  schema: z.ZodType<T, string>;
};

const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`);
const oneOf = <const Value extends string>(...values: [Value, ...Value[]]) =>
  z.enum(values, { error: `must be ${values.join(" or ")}` });
const filled = z.string().min(1, "must not be empty");
const mysqlUrl = z
  .url({ protocol: /^mysql$/, error: "must be mysql://user:password@host:port/database" })
  .transform((value) => new URL(value))
  .refine((value) => value.pathname.length > 1, "must name a database");
const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http or https URL" });
const list = z.string().transform((value) => value.split(",").filter((part) => part !== ""));

const API_KEY = /^([a-z0-9][a-z0-9-]{0,31}):(read|write):([0-9a-f]{64})$/;
const apiKeys = list.transform((entries, context) =>
  entries.map((entry) => {
    const [, name = "", scope = "", sha256 = ""] = API_KEY.exec(entry) ?? [];
    if (!name) context.addIssue("must be name:read|write:sha256, separated by commas");
    return { name, scope: scope as "read" | "write", sha256: Buffer.from(sha256, "hex") };
  }),
);
const origins = list.refine(
  (values) => values.every((value) => value === "*" || URL.parse(value)?.origin === value),
  "must be origins such as https://example.com, separated by commas",
);

/** Every variable that the processes read: the one place that knows them. */
export const VARIABLES = {
  GOOGLE_CLOUD_PROJECT: variable("both", "The Google Cloud project.", filled),
  MYSQL_URL: variable(
    "both",
    "The database: `mysql://user:password@host:port/database`, with `?socketPath=` for a socket.",
    mysqlUrl,
  ),
  MYSQL_PASSWORD: variable(
    "both",
    "The password, where it is kept apart from the URL.",
    z.string(),
    "",
  ),
  MYSQL_POOL_SIZE: variable(
    "both",
    "Connections to MySQL at most, per process.",
    integer(1, 100),
    "5",
  ),
  PUBSUB_TOPIC: variable("both", "The topic of the writes.", filled, "constancia-writes"),
  PUBSUB_EMULATOR_HOST: variable(
    "both",
    "The emulator's host and port, instead of Pub/Sub.",
    z.string(),
    "",
  ),
  PORT: variable("both", "The HTTP port.", integer(0, 65535), "8080"),
  LOG_FORMAT: variable(
    "both",
    "`json` for Cloud Logging, `pretty` for people.",
    oneOf("json", "pretty"),
    "json",
  ),
  LOG_LEVEL: variable(
    "both",
    "The least severe level that is logged.",
    oneOf("error", "warn", "info", "debug"),
    "info",
  ),
  METRICS: variable(
    "both",
    "`on` serves `/metrics` to anyone who can reach the port.",
    oneOf("off", "on"),
    "off",
  ),
  RECEIPT_RETENTION_DAYS: variable(
    "both",
    "Days that receipts of replaced and refused writes, and tombstones, are kept.",
    integer(1, 3650),
    "30",
  ),
  API_KEYS: variable(
    "api",
    "Keys: `name:read|write:sha256` of each, separated by commas. `write` includes `read`.",
    apiKeys,
    "",
  ),
  API_KEYS_FOR: variable(
    "api",
    "What needs a key once `API_KEYS` is set: `writes` or `everything` under `/api`.",
    oneOf("writes", "everything"),
    "writes",
  ),
  CORS_ORIGINS: variable("api", "Origins that browsers may call from, or `*`.", origins, ""),
  RATE_LIMIT_PER_MINUTE: variable(
    "api",
    "Requests under `/api` per minute and client, per process; 0 for no limit.",
    integer(0, 10_000_000),
    "0",
  ),
  CLIENT_ADDRESS: variable(
    "api",
    "Where a client's address is read: the `socket`, or `appengine`'s own header.",
    oneOf("socket", "appengine"),
    "socket",
  ),
  DELIVERY: variable(
    "subscriber",
    "How messages come: `pull` or `push`.",
    oneOf("pull", "push"),
    "pull",
  ),
  PUBSUB_SUBSCRIPTION: variable(
    "subscriber",
    "The subscription to pull.",
    filled,
    "constancia-writes-settle",
  ),
  PUBSUB_DEAD_LETTER_SUBSCRIPTION: variable(
    "subscriber",
    "The dead-letter topic's subscription to pull.",
    filled,
    "constancia-dead-letters-keep",
  ),
  PULL_STREAMS: variable("subscriber", "Streaming pulls at once.", integer(1, 100), "5"),
  PUSH_AUTH: variable(
    "subscriber",
    "`off` takes pushes without a token; only with the emulator, which sends none.",
    oneOf("on", "off"),
    "on",
  ),
  PUSH_AUDIENCE: variable(
    "subscriber",
    "The audience of the push subscription's token.",
    z.string(),
    "",
  ),
  PUSH_SERVICE_ACCOUNT: variable(
    "subscriber",
    "The e-mail of the service account that pushes.",
    z.string(),
    "",
  ),
  PUSH_CERTS_URL: variable(
    "subscriber",
    "Where the token's certificates are; only with the emulator, for tests.",
    z.union([z.literal(""), httpUrl]),
    "",
  ),
} as const;

export type ConfigVariables = {
  [Name in keyof typeof VARIABLES]: (typeof VARIABLES)[Name] extends Variable<infer T> ? T : never;
};

const VARIABLE_NAMES = Object.keys(VARIABLES) as (keyof typeof VARIABLES)[];

export type ApiKey = ConfigVariables["API_KEYS"][number];

/** Everything that a process is told from outside. */
export type Config = ConfigVariables;

/**
 * Reads a process's variables from the environment. Throws one ConfigError that names every
 * missing and wrong one, without their values, which may be secrets.
 */
export function readConfig(env: NodeJS.ProcessEnv, process: "api" | "subscriber"): Config {
  const names = VARIABLE_NAMES.filter((name) => ["both", process].includes(VARIABLES[name].for));
  // What the other process reads stands at its default here, so that there is one Config.
  const others = VARIABLE_NAMES.filter((name) => !names.includes(name));
  const { values, faults } = tryVariables(env, names);
  if (process === "subscriber") faults.push(...contradictions(values));
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...tryVariables({}, others).values, ...values } as Config;
}

/** Reads some of the variables; what {@link readConfig} is for a whole process. */
export function readVariables<Name extends keyof Config>(
  env: NodeJS.ProcessEnv,
  names: readonly Name[],
): Pick<Config, Name> {
  const { values, faults } = tryVariables(env, names);
  if (faults.length > 0) throw new ConfigError(faults);
  return values as Pick<Config, Name>;
}

function tryVariables(
  env: NodeJS.ProcessEnv,
  names: readonly (keyof Config)[],
): { values: Partial<Config>; faults: string[] } {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const name of names) {
    const definition: Variable<unknown> = VARIABLES[name];
    const value = env[name] || definition.default;
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

function variable<T>(
  reader: Variable<T>["for"],
  means: string,
  schema: z.ZodType<T, string>,
  fallback?: string,
): Variable<T> {
  return { for: reader, means, schema, ...(fallback === undefined ? {} : { default: fallback }) };
}
