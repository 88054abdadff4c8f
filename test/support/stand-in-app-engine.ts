import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { startStandInApi } from "./stand-in-api.ts";

export type StandInService = {
  shardBy: string;
  versions: { id: string; share: number; createTime: string }[];
};
export type StandInState = { clock: number; url: string; services: Record<string, StandInService> };

/** Lines that the log holds: how many of each kind. */
type LogFigures = {
  requests?: number;
  errors?: number;
  slow?: number;
  settled?: number;
  late?: number;
  dead?: number;
  /** Shows nothing of the requests that the version really answered. */
  isBlind?: boolean;
};
export type Fault = {
  /** The call's number, or the first of all that fail, or a part of the command. */
  at?: number;
  from?: number;
  matching?: string;
  kind:
    | "fail"
    | "fail-after"
    | "ignore"
    | "garbage"
    | "kill-before"
    | "kill-after"
    | "kill-between"
    | "signal";
  signal?: NodeJS.Signals;
};
export type Plan = {
  faults?: Fault[];
  always?: LogFigures;
  /** What the log holds while a version is at that step. */
  figures?: (LogFigures & { service: "default" | "subscriber"; percent: number })[];
  /** The versions that ran before the test. */
  good?: string[];
};

export type Ended = { status: number | null; signal: string | null; out: string; err: string };
export type AppEngine = Awaited<ReturnType<typeof buildAppEngine>>;

const ROLLOUT = new URL("../../deploy/rollout/main.ts", import.meta.url).pathname;
const GCLOUD = new URL("./stand-in-gcloud.ts", import.meta.url).pathname;
const BIRTH = Date.parse("2026-01-01T00:00:00Z");
/** gcloud is started hundreds of times; compiled once, it starts in half the time. */
const CACHE = mkdtempSync(join(tmpdir(), "rollout-cache-"));
process.once("exit", () => rmSync(CACHE, { recursive: true, force: true }));

export const QUICKLY = ["--project=constancia-test", "--hold=0", "--pause=0"];

/**
 * An App Engine application of its own for one test: `gcloud` and `git` first on the PATH, a
 * version's address, and the rollout as a process. `good` are the versions that ran before.
 */
export async function buildAppEngine(options: { good?: string[]; realApi?: string } = {}) {
  const { good = ["v20260101-000000-aaaaaaa", "v20260102-000000-bbbbbbb"] } = options;
  const folder = mkdtempSync(join(tmpdir(), "rollout-"));
  const api = await startStandInApi(join(folder, "requests.jsonl"), options.realApi);
  mkdirSync(join(folder, "bin"));
  writeTool("gcloud", `exec '${process.execPath}' '${GCLOUD}' "$@"`);
  let commit = "";
  check("ccccccc");
  const state: StandInState = { clock: BIRTH, url: api.url, services: {} };
  for (const service of good.length > 0 ? ["default", "subscriber"] : []) {
    const versions = good.map((id, index) => ({
      ...{ id, share: index === good.length - 1 ? 1 : 0 },
      createTime: new Date(BIRTH + index).toISOString(),
    }));
    state.services[service] = { shardBy: "IP", versions };
  }
  writeFileSync(join(folder, "state.json"), JSON.stringify(state));
  plan({});
  return {
    api,
    folder,
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

  function writeTool(name: string, line: string): void {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }

  /** Checks out another commit. */
  function check(next: string): void {
    commit = next;
    writeTool("git", `[ "$1" = rev-parse ] && echo ${commit}0000 || true`);
  }

  function plan(next: Plan): void {
    writeFileSync(join(folder, "plan.json"), JSON.stringify({ ...next, good }));
  }

  function start(args: string[], env: Record<string, string> = {}) {
    const PATH = `${join(folder, "bin")}:/usr/bin:/bin`;
    const child = spawn(process.execPath, [ROLLOUT, ...args], {
      env: { PATH, STAND_IN: folder, NODE_COMPILE_CACHE: CACHE, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const closed = new Promise<Pick<Ended, "status" | "signal">>((resolve) =>
      child.once("close", (status, signal) => resolve({ status, signal })),
    );
    const ended = Promise.all([closed, readText(child.stdout), readText(child.stderr)]).then(
      ([end, out, err]): Ended => {
        assert.doesNotMatch(out + err, /\n +at |node_modules|a fault of its own/, "a stack");
        return { ...end, out, err };
      },
    );
    return { child, ended };
  }

  /** Runs the rollout without holds; `args` are added to that. */
  function run(...args: string[]): Promise<Ended> {
    return start([...QUICKLY, ...args]).ended;
  }

  /** What gcloud was called with, each as one line, in order. */
  function calls(): string[] {
    return commands().map((args) => args.join(" "));
  }

  /** The same, as lists of arguments. */
  function commands(): string[][] {
    const count = readdirSync(folder).filter((file) => file.startsWith("call-")).length;
    return Array.from({ length: count }, (_, index) =>
      JSON.parse(readFileSync(join(folder, `call-${index + 1}`), "utf8")),
    );
  }

  function forgetCalls(): void {
    for (const file of readdirSync(folder))
      if (file.startsWith("call-")) rmSync(join(folder, file));
  }

  function read(): StandInState {
    return JSON.parse(readFileSync(join(folder, "state.json"), "utf8"));
  }

  /** The versions that have traffic, of each service, with their commit and percent. */
  function traffic(): Record<string, Record<string, number>> {
    const live = ({ versions }: StandInService) =>
      versions
        .filter(({ share }) => share > 0)
        .map(({ id, share }) => [id.slice(-7), Math.round(100 * share)]);
    return Object.fromEntries(
      Object.entries(read().services).map(([id, one]) => [id, Object.fromEntries(live(one))]),
    );
  }

  function versions(service: string): string[] {
    return read().services[service]?.versions.map(({ id }) => id) ?? [];
  }

  /** Changes the application behind the rollout's back. */
  function change(work: (state: StandInState) => void): void {
    const state = read();
    work(state);
    writeFileSync(join(folder, "state.json"), JSON.stringify(state));
  }

  function close(): void {
    api.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
