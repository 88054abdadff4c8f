import { once } from "node:events";
import { globSync, mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { constants } from "node:os";
import { join } from "node:path";
import { bundle } from "../../deploy/bundle.ts";
import { isRunning, killDescendants, withProgress } from "../../local/processes.ts";
import { endLeftovers, RunFile } from "../../local/run-file.ts";
import { Supervisor } from "../../local/supervisor.ts";
import { UsageError } from "../../ops/command-line.ts";
import { benchDrain } from "./drain.ts";
import { BenchEnvironment } from "./environment.ts";
import { benchFeed } from "./feed.ts";
import { benchGet } from "./get.ts";
import { type BenchName, type Options, readOptions } from "./options.ts";
import { benchPost } from "./post.ts";
import { describeProfiles } from "./profile.ts";
import { benchPush } from "./push.ts";
import { benchReadable } from "./readable.ts";
import { makeReport, writeReport } from "./report.ts";
import { startServers } from "./servers.ts";
import { benchStart } from "./start.ts";
import { readProductionSampling } from "./targets.ts";

const LOCAL = join(import.meta.dirname, "..", "..", ".local");
const FOLDER = join(LOCAL, `bench-${process.pid}`);
const MARK = "proof/bench/main.ts";
const BENCHES: Record<BenchName, (environment: BenchEnvironment) => Promise<void>> = {
  post: benchPost,
  drain: benchDrain,
  get: benchGet,
  start: benchStart,
  push: benchPush,
  readable: benchReadable,
  feed: benchFeed,
};

const startedAt = Date.now();
const say = (line: string) =>
  console.log(`bench ${Math.round((Date.now() - startedAt) / 1_000)} s: ${line}`);

try {
  const output = join(import.meta.dirname, "results");
  const options = readOptions({ sampling: readProductionSampling(), output });
  if (options) await main(options);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`bench: ${error.message} See npm run bench -- --help.`);
  process.exit(2);
}

/** Measures, reports, and stops everything; exits with 1 where a benchmark failed. */
async function main(options: Options): Promise<void> {
  // Google's clients would look for the metadata server of a Google machine.
  process.env.METADATA_SERVER_DETECTION = "none";
  await removeLeftovers();
  mkdirSync(FOLDER, { recursive: true });
  process.once("exit", () => {
    killDescendants();
    rmSync(FOLDER, { recursive: true, force: true });
  });
  const supervisor = new Supervisor(await RunFile.claim(join(FOLDER, "run.json"), MARK, say), say);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => supervisor.stop(128 + constants.signals[signal]));
  try {
    const dist = join(FOLDER, "dist");
    const profileFolder = options.profile
      ? join(options.output, `profiles-${process.pid}`)
      : undefined;
    const [servers] = await Promise.all([
      startServers({ ...options, folder: FOLDER, supervisor, say }),
      withProgress(say, "bundling", bundle(dist)),
    ]);
    const sinkUrl = await startSink();
    const parts = { options, servers, dist, sinkUrl, profileFolder, supervisor, say };
    const environment = new BenchEnvironment(parts);
    const failures: string[] = [];
    for (const name of options.benches) {
      try {
        await BENCHES[name](environment);
      } catch (error) {
        failures.push(`${name}: ${(error as Error).message}`);
        say(`${name} failed: ${(error as Error).stack}`);
      }
    }
    const profiles = profileFolder ? describeProfiles(profileFolder) : [];
    const { samples } = environment;
    const report = makeReport({ options, servers, samples, failures, profiles });
    const { file, markdown } = writeReport(report);
    console.log(`\n${markdown}`);
    await supervisor.stop(failures.length > 0 ? 1 : 0, `the report is ${file}`);
  } catch (error) {
    await supervisor.stop(1, (error as Error).stack);
  }
}

/** Ends the processes of a bench that was killed, and removes its folder. */
async function removeLeftovers(): Promise<void> {
  for (const folder of globSync(join(LOCAL, "bench-*"))) {
    const pid = Number(/\d+$/.exec(folder)?.[0]);
    if (isRunning({ pid, mark: MARK })) continue;
    await endLeftovers(join(folder, "run.json"), say);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Accepts traces and metrics by OTLP, and drops them. */
async function startSink(): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.end());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return `http://127.0.0.1:${port}`;
}
