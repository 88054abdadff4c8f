import { z } from "zod";
import { apiKeys } from "./api-keys.ts";
import { LEAST_RECEIPT_RETENTION_DAYS } from "./limits.ts";
import { oidcIssuers } from "./oidc-issuers.ts";

/** One environment variable: who reads it, how it is parsed, and its row in the README's table. */
export type Variable<T> = {
  for: "both" | "api" | "subscriber";
  description: string;
  /** Without a default, the variable is required. */
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
/** Undefined where it is empty; a union would not say what is wrong with a value. */
const optional = <T>(schema: z.ZodType<T, string>) =>
  z.string().transform((value, context) => {
    if (value === "") return undefined;
    const { data, error } = schema.safeParse(value);
    if (error) context.addIssue(error.issues[0]?.message ?? "is wrong");
    return data;
  });
const nonEmpty = z.string().min(1, "must not be empty");
const mysqlUrl = z
  .url({ protocol: /^mysql$/, error: "must be mysql://user:password@host:port/database" })
  .transform((value) => new URL(value))
  .refine((value) => value.pathname.length > 1, "must name a database");
const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http or https URL" });
const secret = z
  .string()
  .regex(
    /^(projects\/[\w.:-]+\/secrets\/[\w-]+\/versions\/(latest|\d+))?$/,
    "must be projects/PROJECT/secrets/NAME/versions/latest",
  );
const list = z.string().transform((value) => value.split(",").filter((part) => part !== ""));

const origins = list.refine(
  (values) => values.every((value) => value === "*" || URL.parse(value)?.origin === value),
  "must be origins such as https://example.com, separated by commas",
);

/** Replaced by the project's id in every value, so that one app.yaml serves every project. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: this is the literal text to replace.
export const PROJECT_PLACEHOLDER = "${GOOGLE_CLOUD_PROJECT}";

/** Every environment variable that the processes read. */
export const VARIABLES = {
  GOOGLE_CLOUD_PROJECT: variable("both", "The Google Cloud project's id.", nonEmpty),
  MYSQL_URL: variable(
    "both",
    "The database: `mysql://user:password@host:port/database`; `?socketPath=` names a Unix socket.",
    mysqlUrl,
  ),
  MYSQL_PASSWORD: variable(
    "both",
    "The database user's password, if it is not in `MYSQL_URL`.",
    z.string(),
    "",
  ),
  MYSQL_PASSWORD_SECRET: variable(
    "both",
    "The Secret Manager version that holds `MYSQL_PASSWORD`.",
    secret,
    "",
  ),
  MYSQL_POOL_SIZE: variable(
    "both",
    "The maximum number of MySQL connections per process.",
    integer(1, 100),
    "5",
  ),
  PUBSUB_TOPIC: variable(
    "both",
    "The topic that writes are published to.",
    nonEmpty,
    "constancia-writes",
  ),
  PUBSUB_EMULATOR_HOST: variable(
    "both",
    "Host and port of a Pub/Sub emulator to use instead of Pub/Sub.",
    z.string(),
    "",
  ),
  PORT: variable("both", "The HTTP port.", integer(0, 65535), "8080"),
  LOG_FORMAT: variable(
    "both",
    "`json` for Cloud Logging, or `pretty` for people.",
    oneOf("json", "pretty"),
    "json",
  ),
  LOG_LEVEL: variable(
    "both",
    "The minimum level to log: `error`, `warn`, `info` or `debug`.",
    oneOf("error", "warn", "info", "debug"),
    "info",
  ),
  METRICS: variable(
    "api",
    "`on` serves `/metrics` on the API's port; if there are keys or issuers, to callers with the scope `operate`.",
    oneOf("off", "on"),
    "off",
  ),
  METRICS_PORT: variable(
    "both",
    "A separate port for `/metrics`; if empty, there is none.",
    optional(integer(0, 65535)),
    "",
  ),
  METRICS_HOST: variable(
    "both",
    "The address that `METRICS_PORT` listens on.",
    nonEmpty,
    "127.0.0.1",
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable(
    "both",
    "Where to send spans and metrics by OTLP over HTTP, such as `http://localhost:4318`; if empty, nothing is sent.",
    z.union([z.literal(""), httpUrl]),
    "",
  ),
  OTEL_METRICS_EXPORTER: variable(
    "both",
    "`otlp` sends metrics to that endpoint too; `none` sends spans only.",
    oneOf("otlp", "none"),
    "otlp",
  ),
  OTEL_TRACES_SAMPLER_ARG: variable(
    "both",
    "The share of traces to send, from 0 to 1. Spans with an error are always sent.",
    z
      .string()
      .regex(/^(0|1|0?\.\d{1,6}|1\.0+)$/, "must be a number from 0 to 1")
      .transform(Number),
    "1",
  ),
  GAE_SERVICE: variable("both", "The App Engine service. App Engine sets it.", z.string(), ""),
  GAE_VERSION: variable("both", "Its version. App Engine sets it.", z.string(), ""),
  GAE_INSTANCE: variable("both", "Its instance. App Engine sets it.", z.string(), ""),
  RECEIPT_RETENTION_DAYS: variable(
    "both",
    "Days to keep tombstones and the receipts of replaced and refused writes.",
    integer(LEAST_RECEIPT_RETENTION_DAYS, 3650),
    "30",
  ),
  API_KEYS: variable(
    "api",
    "API keys, one a line: `NAME SHA256 SCOPE…`. Scopes: `X:read`, `X:write`, `X:write-any` of a collection X or of all (`*`), and `operate`.",
    apiKeys,
    "",
  ),
  API_KEYS_SECRET: variable("api", "The Secret Manager version that holds `API_KEYS`.", secret, ""),
  OIDC_ISSUERS: variable(
    "api",
    "Issuers whose tokens are taken: a JSON array; docs/identity.md describes its members.",
    oidcIssuers,
    "",
  ),
  ACCESS: variable(
    "api",
    "Who may call `/api` and the JSON at `/`: `public`, everybody; `public-reads`, to write only callers with a scope; `keys`, only those. Required, except with a Pub/Sub emulator: there `public-reads` if there are keys or issuers, else `public`.",
    optional(oneOf("public", "public-reads", "keys")),
    "",
  ),
  CORS_ORIGINS: variable(
    "api",
    "Origins that browsers may call from, separated by commas, or `*`.",
    origins,
    "",
  ),
  RATE_LIMIT_PER_MINUTE: variable(
    "api",
    "Maximum requests under `/api` and for the JSON at `/`, per minute, caller and process; `0` for no limit, where `ACCESS` is `keys`. By default 1,200, and with a Pub/Sub emulator no limit.",
    optional(integer(0, 10_000_000)),
    "",
  ),
  CLIENT_ADDRESS: variable(
    "api",
    "Where a client's address is taken from: the `socket`, or the header that `appengine` sets.",
    oneOf("socket", "appengine"),
    "socket",
  ),
  DELIVERY: variable(
    "subscriber",
    "How Pub/Sub delivers messages: `pull` or `push`.",
    oneOf("pull", "push"),
    "pull",
  ),
  PUBSUB_SUBSCRIPTION: variable(
    "subscriber",
    "The subscription to pull.",
    nonEmpty,
    "constancia-writes-settle",
  ),
  PUBSUB_DEAD_LETTER_SUBSCRIPTION: variable(
    "subscriber",
    "The dead-letter topic's subscription to pull.",
    nonEmpty,
    "constancia-dead-letters-keep",
  ),
  PUSH_AUTH: variable(
    "subscriber",
    "`off` accepts pushes without a token; allowed only with an emulator, which sends none.",
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
    "The e-mail address of the service account in that token.",
    z.string(),
    "",
  ),
  PUSH_CERTS_URL: variable(
    "subscriber",
    "Where to fetch the certificates that verify the token; allowed only with an emulator, for tests.",
    z.union([z.literal(""), httpUrl]),
    "",
  ),
} as const;

function variable<T>(
  reader: Variable<T>["for"],
  description: string,
  schema: z.ZodType<T, string>,
  fallback?: string,
): Variable<T> {
  const variable = { for: reader, description, schema };
  return fallback === undefined ? variable : { ...variable, default: fallback };
}
