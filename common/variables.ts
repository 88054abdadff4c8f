import { z } from "zod";

/** One environment variable: what it means, for the README's table, and how it is read. */
export type Variable<T> = {
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
const secret = z
  .string()
  .regex(
    /^(projects\/[\w.:-]+\/secrets\/[\w-]+\/versions\/(latest|\d+))?$/,
    "must be projects/PROJECT/secrets/NAME/versions/latest",
  );
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

/** In any value this stands for the project, so that app.yaml is the same in every project. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text itself that is looked for.
export const PROJECT_PLACEHOLDER = "${GOOGLE_CLOUD_PROJECT}";

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
  MYSQL_PASSWORD_SECRET: variable(
    "both",
    "The version in Secret Manager that holds `MYSQL_PASSWORD`.",
    secret,
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
    "api",
    "`on` serves `/metrics` beside the API: to anyone, or where `API_KEYS` is set, to keys only.",
    oneOf("off", "on"),
    "off",
  ),
  METRICS_PORT: variable(
    "both",
    "A port of its own for `/metrics`; none where it is empty.",
    z.union([z.literal("").transform(() => undefined), integer(0, 65535)]),
    "",
  ),
  METRICS_HOST: variable("both", "The address that `METRICS_PORT` is on.", filled, "127.0.0.1"),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable(
    "both",
    "Where spans and metrics are sent by OTLP over HTTP, as `http://localhost:4318`; nowhere where it is empty.",
    z.union([z.literal(""), httpUrl]),
    "",
  ),
  OTEL_METRICS_EXPORTER: variable(
    "both",
    "`otlp` sends metrics there too; `none` where only spans are taken.",
    oneOf("otlp", "none"),
    "otlp",
  ),
  OTEL_TRACES_SAMPLER_ARG: variable(
    "both",
    "The share of traces that is sent, from 0 to 1; spans with an error are always.",
    z
      .string()
      .regex(/^(0|1|0?\.\d{1,6}|1\.0+)$/, "must be a number from 0 to 1")
      .transform(Number),
    "1",
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
  API_KEYS_SECRET: variable(
    "api",
    "The version in Secret Manager that holds `API_KEYS`.",
    secret,
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

function variable<T>(
  reader: Variable<T>["for"],
  means: string,
  schema: z.ZodType<T, string>,
  fallback?: string,
): Variable<T> {
  return { for: reader, means, schema, ...(fallback === undefined ? {} : { default: fallback }) };
}
