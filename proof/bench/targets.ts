import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** A process that is measured: how it is started, and its settings beside the servers. */
export type Target = {
  /** Its name in the report. */
  title: string;
  args: string[];
  env: Record<string, string>;
  /** It has started once its output contains this. */
  startedLine: string;
};

/** Names in the report. */
export const CONSTANCIA = "Constancia";
export const WITH_FEED = "Constancia with a feed";
export const SEED = "seed shape";
export const LIMIT_EXPRESS = "limit: Express alone";
export const LIMIT_PULL = "limit: pull and ack";
export const LIMIT_INSERT = "limit: INSERT loop";

const ROOT = join(import.meta.dirname, "..", "..");

type AppYaml = { entrypoint: string; env_variables: Record<string, string> };

function readAppYaml(name: string): AppYaml {
  return parse(readFileSync(join(ROOT, name), "utf8"));
}

/** The share of traces that production sends. */
export function readProductionSampling(): string {
  return readAppYaml("app.yaml").env_variables.OTEL_TRACES_SAMPLER_ARG ?? "off";
}

/** One of Constancia's processes, started from the bundle in `dist` by App Engine's command line. */
export function createOwnTarget(
  name: "api" | "subscriber",
  dist: string,
  env: Record<string, string>,
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
    title: CONSTANCIA,
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

export const SEED_API = createTarget(SEED, "peers/express-api.ts");
export const SEED_SUBSCRIBER = createTarget(SEED, "peers/express-subscriber.ts");
export const SEED_PUSH = createTarget(SEED, "peers/express-push.ts");
export const EXPRESS_ALONE = createTarget(LIMIT_EXPRESS, "limits/express.ts");
/** Pulls and acknowledges as the subscriber does, and nothing else. */
export const PULL_ALONE = createTarget(LIMIT_PULL, "limits/pull.ts");

/** Inserts `count` rows as fast as one connection can. */
export function createInsertTarget(count: number): Target {
  return createTarget(LIMIT_INSERT, "limits/insert-loop.ts", { COUNT: String(count) });
}

function createTarget(title: string, file: string, env: Record<string, string> = {}): Target {
  return { title, args: [join(import.meta.dirname, file)], env, startedLine: "started" };
}
