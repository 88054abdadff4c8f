import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const PROCESSES = ["api", "subscriber"] as const;
/** As in app.yaml and subscriber.yaml: V8 rejects a compile cache of other flags. */
export const V8_FLAGS = [
  "--max-old-space-size=512",
  "--initial-old-space-size=130",
  "--no-allocation-site-pretenuring",
];
/** The variables that bundled CommonJS expects, which ESM does not have. */
const COMMONJS_SCOPE = [
  'import { createRequire } from "node:module";',
  "const require = createRequire(import.meta.url);",
  "const __filename = import.meta.filename, __dirname = import.meta.dirname;",
].join("\n");
/** Settings to start with. Nothing listens at these addresses, and nothing is sent. */
export const NOWHERE = {
  GOOGLE_CLOUD_PROJECT: "nowhere",
  MYSQL_URL: "mysql://nobody@127.0.0.1:1/nothing",
  PUBSUB_EMULATOR_HOST: "127.0.0.1:1",
  METADATA_SERVER_DETECTION: "none",
  DELIVERY: "push",
  PUSH_AUTH: "off",
  // Items may have owners, which a public API could not tell.
  ACCESS: "public-reads",
  API_KEYS: `nobody ${"0".repeat(64)} operate`,
  PORT: "0",
};
const START_DEADLINE_MS = 60_000;

const HELP = `npm run gcp-build

Writes dist/, which App Engine runs: one file for each process, and V8's compile cache of their start.
App Engine's build runs this command after it has installed the packages.
`;

if (import.meta.main) {
  // The upload has nothing of ops/, where the other commands read their options.
  if (process.argv.includes("--help")) process.stdout.write(HELP);
  else await bundle(join(ROOT, "dist"));
}

/**
 * Writes to `folder` all that App Engine needs: one file for each process, which needs no
 * node_modules, the files that they read, and V8's compile cache of their start.
 */
export async function bundle(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: {
      api: "api/main.ts",
      subscriber: "subscriber/main.ts",
      "compile-cache": "deploy/compile-cache.ts",
    },
    outdir: folder,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    banner: { js: COMMONJS_SCOPE },
    logLevel: "warning",
  });
  await cp(join(ROOT, "api", "console"), join(folder, "console"), {
    recursive: true,
    filter: (file) => !file.endsWith(".json"),
  });
  await fillCompileCache(folder);
}

/** Starts each process once, which also tests that it starts, and keeps V8's compile cache. */
async function fillCompileCache(folder: string): Promise<void> {
  const temporary = await mkdtemp(join(tmpdir(), "bundle-"));
  try {
    for (const name of PROCESSES) await startOnce(folder, name, temporary);
    await mkdir(join(folder, "compile-cache"));
    for (const entry of await readdir(temporary, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const kept = join(folder, "compile-cache", entry.name);
      await copyFile(join(entry.parentPath, entry.name), kept);
      // Node makes them readable to their owner only, but another user may run the bundle.
      await chmod(kept, 0o644);
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function startOnce(folder: string, name: string, temporary: string): Promise<void> {
  const cache = ["--import", join(folder, "compile-cache.js")];
  const args = [...V8_FLAGS, ...cache, join(folder, `${name}.js`)];
  const child = spawn(findNode(), args, {
    env: { ...NOWHERE, TMPDIR: temporary },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), START_DEADLINE_MS);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    if (output.includes(`${name} started`)) child.kill("SIGTERM");
  });
  const [code] = await once(child, "close");
  clearTimeout(timer);
  if (code !== 0) throw new Error(`The bundled ${name} did not start and stop:\n${output}`);
}

/**
 * The Node that will run the bundle, because a compile cache works with the same version only. npm
 * puts the Node of node_modules first on the PATH, which is not deployed; npm_node_execpath is the
 * machine's own.
 */
function findNode(): string {
  const own = process.env.npm_node_execpath;
  if (!own) return process.execPath;
  const [major] = execFileSync(own, ["--version"], { encoding: "utf8" }).split(".");
  return major === process.version.split(".")[0] ? own : process.execPath;
}
