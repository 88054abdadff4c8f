import type { Api } from "./api.ts";
import { readVersions, trafficCommand } from "./app-engine.ts";
import { Breach, Failure } from "./failure.ts";
import { readFigures } from "./figures.ts";
import type { Gcloud } from "./gcloud.ts";
import { judge, type Verdict } from "./judge.ts";
import { pause } from "./pause.ts";
import { say, withProgress } from "./say.ts";
import { EVIDENCE } from "./slo.ts";
import { drive } from "./synthetic.ts";
import type { Haven, Stage } from "./traffic.ts";
import { getTrafficShares } from "./versions.ts";

export type StageOptions = {
  gcloud: Gcloud;
  api: Api;
  project: string;
  id: string;
  haven: Haven;
  answerLimitMs: number;
  holdMs: number;
  pauseMs: number;
  stop: AbortSignal;
};

/** What App Engine says of the traffic may come a moment after it moved. */
const CONFIRM_ATTEMPTS = 3;

/**
 * Gives the version its part of the traffic, holds for a while and judges, again and again, from
 * the figures since the step began: a breach is thrown at once, and so is a hold that ends with
 * too little to judge by.
 */
export async function runStage(stage: Stage, options: StageOptions): Promise<void> {
  const { gcloud, api, project, id, haven, holdMs, pauseMs, stop } = options;
  const { service, percent } = stage;
  await withProgress(`step: ${percent} % of ${service} to ${id}`, () =>
    gcloud.change(trafficCommand(stage, id, haven[service])),
  );
  await confirmShare(stage, options);
  const since = new Date();
  const endsAt = since.getTime() + holdMs;
  // Clients have half of the hold to send enough; then it is helped.
  let verdict = await watchUntil(since.getTime() + holdMs / 2);
  const isDriven = verdict.wanting.length > 0;
  if (isDriven) await drive(api, stop);
  if (isDriven || Date.now() < endsAt) verdict = await watchUntil(endsAt);
  for (let look = 1; verdict.wanting.length > 0 && look <= EVIDENCE.extraLooks; look += 1) {
    say(`too little to judge by yet: ${verdict.wanting.join(" and ")}`);
    await pause(pauseMs, stop);
    verdict = await lookOnce();
  }
  for (const line of verdict.lines) say(`  ${line}`);
  if (verdict.wanting.length > 0)
    throw new Breach(`Too little to judge by: ${verdict.wanting.join(" and ")}.`);
  await confirmShare(stage, options);
  say(`passed: ${percent} % of ${service}`);

  async function watchUntil(time: number): Promise<Verdict> {
    for (;;) {
      const verdict = await lookOnce();
      const leftMs = time - Date.now();
      if (leftMs <= 0) return verdict;
      say(
        `holding for ${Math.ceil((endsAt - Date.now()) / 1_000)} s more; ${verdict.lines.at(-1)}`,
      );
      await pause(Math.min(Math.max(pauseMs, 1), leftMs), stop);
    }
  }

  async function lookOnce(): Promise<Verdict> {
    const figures = await readFigures(gcloud, { service, id, project, since });
    const verdict = judge(figures, stage, options.answerLimitMs);
    if (verdict.breaches.length === 0) return verdict;
    for (const line of verdict.lines) say(`  ${line}`);
    throw new Breach(`At ${percent} % of ${service}: ${verdict.breaches.join("; ")}.`);
  }
}

/**
 * Checks that the traffic is as this step set it: the command may have done nothing, and a person
 * or another rollout may have moved traffic meanwhile, which is not ours to undo.
 */
async function confirmShare(stage: Stage, { gcloud, id, pauseMs, stop }: StageOptions) {
  const { service, percent } = stage;
  for (let attempt = 1; ; attempt += 1) {
    const share = getTrafficShares(await readVersions(gcloud), id)[service];
    if (Math.round(100 * share) === percent) return;
    if (attempt === CONFIRM_ATTEMPTS)
      throw new Failure(
        `App Engine gives ${id} ${Math.round(100 * share)} % of ${service}, and not the ${percent} %` +
          " that this step set: the command did nothing, or somebody else moves traffic.",
      );
    await pause(pauseMs, stop);
  }
}
