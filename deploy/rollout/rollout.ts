import { type Api, createApi } from "./api.ts";
import {
  deleteVersions,
  deploy,
  finishCommand,
  readAddress,
  readTraffic,
  readVersions,
  trafficCommand,
} from "./app-engine.ts";
import { readCommit } from "./commit.ts";
import { describeError, Failure, RollbackFailed } from "./failure.ts";
import { readAnswerLimit } from "./figures.ts";
import { createGcloud, type Gcloud } from "./gcloud.ts";
import type { Options } from "./options.ts";
import { rollBack } from "./roll-back.ts";
import { say, withProgress } from "./say.ts";
import { awaitReady, smokeTest } from "./smoke.ts";
import { runStage } from "./stage.ts";
import {
  findFallback,
  findUnfinished,
  hasAllTraffic,
  planStages,
  type Traffic,
  withoutTraffic,
} from "./traffic.ts";
import {
  chooseFailed,
  chooseOld,
  findPredecessor,
  nameVersion,
  parseCommit,
  SERVICES,
  type Version,
} from "./versions.ts";

const MARK_ATTEMPTS = 3;

export type Run = {
  options: Options;
  project: string;
  apiKey: string | undefined;
  stop: AbortSignal;
  gcloud: Gcloud;
};

/**
 * Rolls out a version, from the start or from where an earlier run ended. If it fails, moves the
 * traffic back and throws the reason, or RollbackFailed if the traffic could not be moved back.
 */
export async function rollOut(run: Run): Promise<void> {
  const { gcloud, options } = run;
  let { traffic, id } = await withProgress("reading the versions and their traffic", () =>
    chooseVersion(run),
  );
  const unfinished = findUnfinished(traffic);
  if (unfinished !== undefined && unfinished !== id) {
    await endUnfinished(run, traffic, unfinished);
    traffic = options.isDryRun
      ? { ...traffic, versions: assumeRolledBack(traffic.versions, unfinished) }
      : await readTraffic(gcloud);
  }
  await deleteVersions(gcloud, chooseFailed(traffic.versions, id));
  if (options.isDryRun) return printDryRun(run, traffic.versions, id);
  await deployAndShift(run, traffic.versions, id);
  await prune(run);
  say(`${id} has all traffic`);
}

/** `--rollback`: undoes an open rollout; without one, goes back by one version. */
export async function rollBackByHand(run: Run): Promise<void> {
  const { versions, isUnjudged } = await readTraffic(run.gcloud);
  const open = findUnfinished({ versions, isUnjudged });
  if (open !== undefined) return putBack(run, versions, open);
  const live = versions.find(({ service, share }) => service === "default" && share === 1);
  const before = live && findPredecessor(versions, live.id);
  if (!live || !before) throw new Failure("There is no older version to go back to.");
  const fallback = { subscriber: before, default: before };
  await rollBack(withoutStop(run), live.id, fallback, run.options.pauseMs);
}

/** The unfinished version of an earlier run of this commit, or a new one. */
async function chooseVersion({ gcloud, options }: Run): Promise<{ traffic: Traffic; id: string }> {
  const commit = options.version === undefined ? await readCommit() : undefined;
  const traffic = await readTraffic(gcloud);
  if (commit === undefined) return { traffic, id: options.version as string };
  const begun = [
    findUnfinished(traffic),
    ...chooseFailed(traffic.versions, "").map((version) => version.id),
  ].find((id) => id !== undefined && parseCommit(id) === commit);
  if (begun !== undefined) say(`continuing ${begun}, which is of this commit`);
  return { traffic, id: begun ?? nameVersion(new Date(), commit) };
}

/**
 * Ends the unfinished rollout of another commit. If it has all traffic and only the last verdict is
 * missing, it is judged now; otherwise its traffic is moved back. The new rollout follows either way.
 */
async function endUnfinished(run: Run, { versions, isUnjudged }: Traffic, id: string) {
  say(`the rollout of ${id} is not finished`);
  if (!(isUnjudged && hasAllTraffic(versions, id)) || run.options.isDryRun)
    return putBack(run, versions, id);
  await deployAndShift(run, versions, id).catch((error) => {
    if (error instanceof RollbackFailed || run.stop.aborted) throw error;
    say(describeError(error));
  });
}

/**
 * Deploys, takes every step and marks the version. Moves the traffic back on any error. The new API
 * writes nothing before the new subscriber has all traffic, because the running one may not know
 * what the new API writes. So the requests of the subscriber's steps go to the running API.
 */
async function deployAndShift(run: Run, versions: readonly Version[], id: string): Promise<void> {
  const { gcloud, project, options, stop } = run;
  const fallback = findFallback(versions, id);
  try {
    await deploy(gcloud, id, versions);
    const stages = planStages(await readVersions(gcloud), id, fallback, options);
    const url = await readAddress(gcloud, id);
    const api = connect(run, url);
    await withProgress(`waiting until ${url} is ready`, () => awaitReady(api, stop));
    const running = await connectRunning(run, fallback.default);
    const answerLimitMs = await readAnswerLimit(gcloud, { id: fallback.default, project });
    const { holdMs, pauseMs, delivery } = options;
    const shared = {
      gcloud,
      project,
      delivery,
      id,
      fallback,
      answerLimitMs,
      holdMs,
      pauseMs,
      stop,
    };
    for (const service of SERVICES) {
      if (service === "default")
        await withProgress(`smoke test at ${url}`, () => smokeTest(api, stop));
      for (const stage of stages.filter((one) => one.service === service))
        await runStage(stage, { ...shared, api: service === "default" ? api : (running ?? api) });
    }
  } catch (error) {
    say(describeError(error));
    await rollBack(withoutStop(run), id, fallback, options.pauseMs);
    throw error;
  }
  await markFinished(run, id);
}

function connect({ apiKey, stop }: Run, url: string): Api {
  return createApi({ url, key: apiKey, stop });
}

/** The running version of the API at its own URL; undefined at a first deployment. */
async function connectRunning(run: Run, id: string | undefined): Promise<Api | undefined> {
  return id === undefined ? undefined : connect(run, await readAddress(run.gcloud, id));
}

/** Marks the version as good. Without the mark, the next run judges it again. */
async function markFinished(run: Run, id: string): Promise<void> {
  const gcloud = withoutStop(run);
  for (let attempt = 1; attempt <= MARK_ATTEMPTS; attempt += 1) {
    try {
      return await gcloud.change(finishCommand("default", id));
    } catch (error) {
      say(`${id} passed but could not be marked: ${describeError(error)}`);
    }
  }
}

/** Prints the commands of all steps of this version. */
async function printDryRun({ gcloud, options }: Run, versions: readonly Version[], id: string) {
  const fallback = findFallback(versions, id);
  await deploy(gcloud, id, versions);
  say("then these steps, each of them judged, with a smoke test before the first of default:");
  for (const stage of planStages(versions, id, fallback, options))
    await gcloud.change(trafficCommand(stage, id, fallback[stage.service]));
  await gcloud.change(finishCommand("default", id));
  say("then versions without traffic are deleted:");
  await deleteVersions(gcloud, chooseOld(versions, options.keep - 1));
}

/** Deletes old versions. A failure here does not undo the rollout. */
async function prune({ gcloud, options }: Run): Promise<void> {
  try {
    await deleteVersions(gcloud, chooseOld(await readVersions(gcloud), options.keep));
  } catch (error) {
    say(`old versions were not deleted; the next rollout deletes them: ${describeError(error)}`);
  }
}

function assumeRolledBack(versions: readonly Version[], id: string): Version[] {
  return withoutTraffic(versions, id, findFallback(versions, id));
}

function putBack(run: Run, versions: readonly Version[], id: string): Promise<void> {
  return rollBack(withoutStop(run), id, findFallback(versions, id), run.options.pauseMs);
}

/** A gcloud that no signal interrupts, for the rollback that a signal starts. */
function withoutStop({ project, options }: Run): Gcloud {
  const { pauseMs, isDryRun } = options;
  return createGcloud({ project, pauseMs, isDryRun, stop: new AbortController().signal });
}
