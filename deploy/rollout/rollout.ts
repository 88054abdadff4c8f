import { createApi } from "./api.ts";
import {
  deleteVersions,
  deploy,
  readAddress,
  readTraffic,
  readVersions,
  sealCommand,
  trafficCommand,
} from "./app-engine.ts";
import { readCommit } from "./commit.ts";
import { describeError, Failure, RollbackFailed } from "./failure.ts";
import { readAnswerLimit } from "./figures.ts";
import { createGcloud, type Gcloud } from "./gcloud.ts";
import type { Options } from "./options.ts";
import { rollBack } from "./roll-back.ts";
import { say, withProgress } from "./say.ts";
import { smokeTest } from "./smoke.ts";
import { runStage } from "./stage.ts";
import {
  findHaven,
  findUnfinished,
  hasAll,
  planStages,
  type Traffic,
  withoutTraffic,
} from "./traffic.ts";
import {
  chooseFailed,
  chooseOld,
  findPredecessor,
  getCommit,
  nameVersion,
  type Version,
} from "./versions.ts";

const SEAL_ATTEMPTS = 3;

export type Run = {
  options: Options;
  project: string;
  apiKey: string | undefined;
  stop: AbortSignal;
  gcloud: Gcloud;
};

/**
 * The whole way of a version, from nothing or from wherever an earlier run was cut off. Throws
 * once traffic is back where it was: the reason, or RollbackFailed where it could not be put back.
 */
export async function rollOut(run: Run): Promise<void> {
  const { gcloud, options } = run;
  let { traffic, id } = await withProgress("looking at the versions and their traffic", () =>
    chooseVersion(run),
  );
  const unfinished = findUnfinished(traffic);
  if (unfinished !== undefined && unfinished !== id) {
    await endUnfinished(run, traffic, unfinished);
    traffic = options.isDryRun
      ? { ...traffic, versions: imagineBack(traffic.versions, unfinished) }
      : await readTraffic(gcloud);
  }
  await deleteVersions(gcloud, chooseFailed(traffic.versions, id));
  if (options.isDryRun) return rehearse(run, traffic.versions, id);
  await carryThrough(run, traffic.versions, id);
  await prune(run);
  say(`${id} has all traffic`);
}

/** `--rollback`: ends an open rollout where it came from; else goes back by one version. */
export async function rollBackByHand(run: Run): Promise<void> {
  const { versions, isOnTrial } = await readTraffic(run.gcloud);
  const open = findUnfinished({ versions, isOnTrial });
  if (open !== undefined) return putBack(run, versions, open);
  const live = versions.find(({ service, share }) => service === "default" && share === 1);
  const before = live && findPredecessor(versions, live.id);
  if (!live || !before) throw new Failure("There is no older version to go back to.");
  const haven = { subscriber: before, default: before };
  await rollBack(withoutStop(run), live.id, haven, run.options.pauseMs);
}

/** The version that an earlier run of this commit made and nobody finished, else a new one. */
async function chooseVersion({ gcloud, options }: Run): Promise<{ traffic: Traffic; id: string }> {
  const commit = options.version === undefined ? await readCommit() : undefined;
  const traffic = await readTraffic(gcloud);
  if (commit === undefined) return { traffic, id: options.version as string };
  const begun = [
    findUnfinished(traffic),
    ...chooseFailed(traffic.versions, "").map((version) => version.id),
  ].find((id) => id !== undefined && getCommit(id) === commit);
  if (begun !== undefined) say(`going on with ${begun}, which is of this commit`);
  return { traffic, id: begun ?? nameVersion(new Date(), commit) };
}

/**
 * Another commit's rollout was cut off. Where it had all traffic and only the last verdict is
 * missing, it is judged now; else its traffic goes back. Neither keeps the new version from going.
 */
async function endUnfinished(run: Run, { versions, isOnTrial }: Traffic, id: string) {
  say(`the rollout of ${id} was never finished`);
  if (!(isOnTrial && hasAll(versions, id)) || run.options.isDryRun)
    return putBack(run, versions, id);
  await carryThrough(run, versions, id).catch((error) => {
    if (error instanceof RollbackFailed || run.stop.aborted) throw error;
    say(describeError(error));
  });
}

/** Deploy, smoke test, steps, seal; whatever goes wrong, traffic is put back. */
async function carryThrough(run: Run, versions: readonly Version[], id: string): Promise<void> {
  const { gcloud, project, apiKey, options, stop } = run;
  const haven = findHaven(versions, id);
  try {
    await deploy(gcloud, id, versions);
    const deployed = await readVersions(gcloud);
    const url = await readAddress(gcloud, id);
    const api = createApi({ url, key: apiKey, stop });
    await withProgress(`smoke test at ${url}`, () => smokeTest(api, stop));
    const answerLimitMs = await readAnswerLimit(gcloud, { id: haven.default, project });
    const { holdMs, pauseMs } = options;
    const stages = planStages(deployed, id, haven, options.steps);
    for (const stage of stages)
      await runStage(stage, {
        ...{ gcloud, api, project, id, haven, answerLimitMs, holdMs, pauseMs, stop },
      });
  } catch (error) {
    say(describeError(error));
    await rollBack(withoutStop(run), id, haven, options.pauseMs);
    throw error;
  }
  await seal(run, id);
}

/** Marks that the version was found good; without the mark, the next run judges it once more. */
async function seal(run: Run, id: string): Promise<void> {
  const gcloud = withoutStop(run);
  for (let attempt = 1; attempt <= SEAL_ATTEMPTS; attempt += 1) {
    try {
      return await gcloud.change(sealCommand("default", id));
    } catch (error) {
      say(`${id} is good and was not marked so: ${describeError(error)}`);
    }
  }
}

/** Says what would be done to this version, all steps of it. */
async function rehearse({ gcloud, options }: Run, versions: readonly Version[], id: string) {
  const haven = findHaven(versions, id);
  await deploy(gcloud, id, versions);
  say("then the smoke test, and after each of these the verdict:");
  for (const stage of planStages(versions, id, haven, options.steps))
    await gcloud.change(trafficCommand(stage, id, haven[stage.service]));
  await gcloud.change(sealCommand("default", id));
  say("then versions without traffic are deleted:");
  await deleteVersions(gcloud, chooseOld(versions, options.keep - 1));
}

/** The traffic is where it should be by now, so nothing that fails here is undone. */
async function prune({ gcloud, options }: Run): Promise<void> {
  try {
    await deleteVersions(gcloud, chooseOld(await readVersions(gcloud), options.keep));
  } catch (error) {
    say(`old versions were not deleted, the next rollout does it: ${describeError(error)}`);
  }
}

function imagineBack(versions: readonly Version[], id: string): Version[] {
  return withoutTraffic(versions, id, findHaven(versions, id));
}

function putBack(run: Run, versions: readonly Version[], id: string): Promise<void> {
  return rollBack(withoutStop(run), id, findHaven(versions, id), run.options.pauseMs);
}

/** A rollback is not interrupted by the signal that asked for it. */
function withoutStop({ project, options }: Run): Gcloud {
  const { pauseMs, isDryRun } = options;
  return createGcloud({ project, pauseMs, isDryRun, stop: new AbortController().signal });
}
