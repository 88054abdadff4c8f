import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { parse } from "yaml";
import { PULL_MESSAGES } from "../../common/limits.ts";

/** A process under test: how it is started, and what it is told besides where the servers are. */
export type Target = {
  /** As the report names it. */
  title: string;
  args: string[];
  env: Record<string, string>;
  /** What its output says once it has started; without it, it has when it listens. */
  startedLine?: string;
};

/** What the report calls them. */
export const OURS = "Constancia";
export const SEED = "seed shape";
export const NEST = "NestJS";
export const FUNCTIONS = "functions-framework";
export const EXPRESS_MYSQL = "Express to MySQL";
export const FASTIFY_MYSQL = "Fastify to MySQL";
export const LIMIT_EXPRESS = "limit: Express alone";
export const LIMIT_PULL = "limit: pull and ack";
export const LIMIT_INSERT = "limit: INSERT loop";

const ROOT = join(import.meta.dirname, "..", "..");
const PEERS = join(import.meta.dirname, "peers");
const LIMITS = join(import.meta.dirname, "limits");
/** Below bench/, so that what is built there finds the packages. */
const BUILT = join(import.meta.dirname, "dist");
const FUNCTIONS_FRAMEWORK = join(import.meta.dirname, "node_modules/.bin/functions-framework");

type AppYaml = { entrypoint: string; env_variables: Record<string, string> };

function readAppYaml(name: string): AppYaml {
  return parse(readFileSync(join(ROOT, name), "utf8"));
}

/** The share of traces that production sends. */
export function productionSampling(): string {
  return readAppYaml("app.yaml").env_variables.OTEL_TRACES_SAMPLER_ARG ?? "off";
}

/** One of our processes, started from its bundle in `dist` by App Engine's own command line. */
export function ownTarget(
  name: "api" | "subscriber",
  dist: string,
  env: Record<string, string> = {},
  profileFolder?: string,
): Target {
  const { entrypoint, env_variables } = readAppYaml(
    name === "api" ? "app.yaml" : "subscriber.yaml",
  );
  const [, ...args] = entrypoint
    .split(" ")
    .map((part) => part.replace(/(\.\/)?dist\//, `${dist}/`));
  const profiling = profileFolder ? ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`] : [];
  return {
    title: OURS,
    args: [...profiling, ...args],
    env: {
      METRICS: "on",
      METRICS_PORT: "0",
      MYSQL_POOL_SIZE: env_variables.MYSQL_POOL_SIZE ?? "",
      ...env,
    },
    startedLine: `${name} started`,
  };
}

export const SEED_API = peer(SEED, "express-api.ts");
export const SEED_SUBSCRIBER = peer(SEED, "express-subscriber.ts");
export const EXPRESS_TO_MYSQL = peer(EXPRESS_MYSQL, "express-mysql.ts");
export const FASTIFY_TO_MYSQL = peer(FASTIFY_MYSQL, "fastify-mysql.ts");
export const NEST_API = peer(NEST, join(BUILT, "nest-api.js"));
export const NEST_SUBSCRIBER = peer(NEST, join(BUILT, "nest-subscriber.js"));
export const FUNCTION: Target = {
  title: FUNCTIONS,
  args: [
    ...[FUNCTIONS_FRAMEWORK, `--source=${join(PEERS, "functions.ts")}`],
    ...["--target=settle", "--signature-type=cloudevent"],
  ],
  env: {},
};
export const EXPRESS_ALONE = peer(LIMIT_EXPRESS, join(LIMITS, "express.ts"));

/** Pulls and acknowledges as our subscriber does, and nothing else. */
export function pullTarget(streams: number): Target {
  const env = { PULL_STREAMS: String(streams), PULL_MESSAGES: String(PULL_MESSAGES) };
  return { ...peer(LIMIT_PULL, join(LIMITS, "pull.ts")), env };
}

/** Inserts `count` rows as fast as one connection can. */
export function insertTarget(count: number): Target {
  return { ...peer(LIMIT_INSERT, join(LIMITS, "insert-loop.ts")), env: { COUNT: String(count) } };
}

function peer(title: string, file: string): Target {
  return { title, args: [resolve(PEERS, file)], env: {}, startedLine: "started" };
}

/** Nest's decorators need a compiler, as Nest's own projects have one. */
export async function buildPeers(): Promise<void> {
  await build({
    entryPoints: [join(PEERS, "nest-api.ts"), join(PEERS, "nest-subscriber.ts")],
    outdir: BUILT,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node24",
    format: "esm",
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    logLevel: "warning",
  });
}
