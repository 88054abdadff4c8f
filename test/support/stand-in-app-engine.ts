import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { startStandInApi } from "./stand-in-api.ts";
import type { Application, Plan, StandInService, StandInState } from "./stand-in-application.ts";
import { installStandInGcloud } from "./stand-in-gcloud.ts";

export type Ended = { status: number | null; signal: string | null; out: string; err: string };
export type AppEngine = Awaited<ReturnType<typeof buildAppEngine>>;

const ROLLOUT = new URL("../../deploy/rollout/main.ts", import.meta.url).pathname;
const BIRTH = Date.parse("2026-01-01T00:00:00Z");
/** Node's compile cache, because the rollout is started for each test. */
const CACHE = mkdtempSync(join(tmpdir(), "rollout-cache-"));
process.once("exit", () => rmSync(CACHE, { recursive: true, force: true }));

export const QUICKLY = ["--project=constancia-test", "--hold=0", "--pause=0"];

/**
 * An App Engine application for one test: `gcloud` and `git` first on the PATH, a version's
 * address, and the rollout as a process. `good` are the versions that ran before; `realApis` the
 * addresses of real APIs, by the commits of their versions.
 */
export async function buildAppEngine(
  options: {
    good?: string[];
    realApis?: Record<string, string>;
    onTraffic?: (traffic: Record<string, Record<string, number>>) => void;
  } = {},
) {
  const { good = ["v20260101-000000-aaaaaaa", "v20260102-000000-bbbbbbb"] } = options;
  const folder = mkdtempSync(join(tmpdir(), "rollout-"));
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const requests: Application["requests"] = [];
  const api = await startStandInApi(requests);
  const forwarders = await Promise.all(
    Object.entries(options.realApis ?? {}).map(async ([commit, url]) => ({
      commit,
      forwarder: await startStandInApi(requests, url),
    })),
  );
  const urls = Object.fromEntries(forwarders.map((one) => [one.commit, one.forwarder.url]));
  const state: StandInState = { clock: BIRTH, url: api.url, urls, services: {} };
  for (const service of good.length > 0 ? ["default", "subscriber"] : []) {
    const versions = good.map((id, index) => ({
      id,
      share: index === good.length - 1 ? 1 : 0,
      createTime: new Date(BIRTH + index).toISOString(),
    }));
    state.services[service] = { shardBy: "IP", versions };
  }
  const onTraffic = () => options.onTraffic?.(traffic());
  const application: Application = { state, plan: {}, good, requests, calls: [], onTraffic };
  const gcloud = await installStandInGcloud(bin, application);
  check("ccccccc");
  return {
    api,
    bin,
    run,
    start,
    plan,
    check,
    calls,
    commands,
    forgetCalls,
    traffic,
    versions,
    change,
    close,
  };

  /** Checks out another commit. */
  function check(commit: string): void {
    const line = `[ "$1" = rev-parse ] && echo ${commit}0000 || true`;
    writeFileSync(join(bin, "git"), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }

  function plan(next: Plan): void {
    application.plan = next;
  }

  function start(args: string[], env: Record<string, string> = {}) {
    const PATH = `${bin}:/usr/bin:/bin`;
    const child = spawn(process.execPath, [ROLLOUT, ...args], {
      env: { PATH, NODE_COMPILE_CACHE: CACHE, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const closed = new Promise<Pick<Ended, "status" | "signal">>((resolve) =>
      child.once("close", (status, signal) => resolve({ status, signal })),
    );
    const ended = Promise.all([closed, readText(child.stdout), readText(child.stderr)]).then(
      ([end, out, err]): Ended => {
        assert.doesNotMatch(out + err, /\n +at |node_modules|Unexpected error/, "a stack");
        return { ...end, out, err };
      },
    );
    return { child, ended };
  }

  /** Runs the rollout without holds; `args` are added to that. */
  function run(...args: string[]): Promise<Ended> {
    return start([...QUICKLY, ...args]).ended;
  }

  /** The calls of gcloud in order, each as one line. */
  function calls(): string[] {
    return application.calls.map((args) => args.join(" "));
  }

  /** The same, as lists of arguments. */
  function commands(): readonly string[][] {
    return application.calls;
  }

  function forgetCalls(): void {
    application.calls.length = 0;
  }

  /** The versions that have traffic, of each service, with their commit and percent. */
  function traffic(): Record<string, Record<string, number>> {
    const live = ({ versions }: StandInService) =>
      versions
        .filter(({ share }) => share > 0)
        .map(({ id, share }) => [id.slice(-7), Math.round(100 * share)]);
    return Object.fromEntries(
      Object.entries(state.services).map(([id, one]) => [id, Object.fromEntries(live(one))]),
    );
  }

  function versions(service: string): string[] {
    return state.services[service]?.versions.map(({ id }) => id) ?? [];
  }

  /** Changes the application as somebody else might during a rollout. */
  function change(work: (state: StandInState) => void): void {
    work(state);
  }

  function close(): void {
    api.close();
    for (const { forwarder } of forwarders) forwarder.close();
    gcloud.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
