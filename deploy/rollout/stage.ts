import type { Api } from "./api.ts";
import { readVersions, trafficCommand } from "./app-engine.ts";
import { Breach, Failure } from "./failure.ts";
import { readFigures } from "./figures.ts";
import type { Gcloud } from "./gcloud.ts";
import { judge, type Verdict } from "./judge.ts";
import type { Delivery } from "./options.ts";
import { pause } from "./pause.ts";
import { say, withProgress } from "./say.ts";
import { EVIDENCE } from "./slo.ts";
import { sendRequests } from "./synthetic.ts";
import type { Fallback, Stage } from "./traffic.ts";
import { readTrafficShares } from "./versions.ts";

export type StageOptions = {
  gcloud: Gcloud;
  /** The API to send requests to where clients send too few. */
  api: Api;
  project: string;
  delivery: Delivery;
  id: string;
  fallback: Fallback;
  answerLimitMs: number;
  holdMs: number;
  pauseMs: number;
  stop: AbortSignal;
};

/** App Engine may show a change of traffic a moment late. */
const CONFIRM_ATTEMPTS = 3;

/**
 * Gives the version the traffic of the step and judges it repeatedly during the hold, by the figures
 * since the step began. Throws as soon as an SLO is not met, or if the evidence is too little at
 * the end.
 */
export async function runStage(stage: Stage, options: StageOptions): Promise<void> {
  const { gcloud, api, project, delivery, id, fallback, holdMs, pauseMs, stop } = options;
  const { service, percent } = stage;
  await withProgress(`step: ${percent} % of ${service} to ${id}`, () =>
    gcloud.change(trafficCommand(stage, id, fallback[service])),
  );
  await confirmTraffic(stage, options);
  const since = new Date();
  const endsAt = since.getTime() + holdMs;
  // If clients have sent too few requests by half of the hold, the rollout sends its own.
  let verdict = await watchUntil(since.getTime() + holdMs / 2);
  const hasSent = verdict.missing.length > 0;
  if (hasSent) await sendRequests(api, stop);
  if (hasSent || Date.now() < endsAt) verdict = await watchUntil(endsAt);
  for (let look = 1; verdict.missing.length > 0 && look <= EVIDENCE.extraLooks; look += 1) {
    say(`not enough evidence yet: ${verdict.missing.join(" and ")}`);
    await pause(pauseMs, stop);
    verdict = await judgeOnce();
  }
  for (const line of verdict.lines) say(`  ${line}`);
  if (verdict.missing.length > 0)
    throw new Breach(`Not enough evidence: ${verdict.missing.join(" and ")}.`);
  await confirmTraffic(stage, options);
  say(`passed: ${percent} % of ${service}`);

  async function watchUntil(time: number): Promise<Verdict> {
    for (;;) {
      const verdict = await judgeOnce();
      const leftMs = time - Date.now();
      if (leftMs <= 0) return verdict;
      say(
        `holding for ${Math.ceil((endsAt - Date.now()) / 1_000)} s more; ${verdict.lines.at(-1)}`,
      );
      await pause(Math.min(Math.max(pauseMs, 1), leftMs), stop);
    }
  }

  async function judgeOnce(): Promise<Verdict> {
    const figures = await readFigures(gcloud, { service, id, project, since, delivery });
    const verdict = judge(figures, stage, options.answerLimitMs);
    if (verdict.breaches.length === 0) return verdict;
    for (const line of verdict.lines) say(`  ${line}`);
    throw new Breach(`At ${percent} % of ${service}: ${verdict.breaches.join("; ")}.`);
  }
}

/**
 * Checks that the traffic is as this step set it. The command may have had no effect, or somebody
 * may have moved the traffic meanwhile, which must not be undone.
 */
async function confirmTraffic(stage: Stage, { gcloud, id, pauseMs, stop }: StageOptions) {
  const { service, percent } = stage;
  for (let attempt = 1; ; attempt += 1) {
    const share = readTrafficShares(await readVersions(gcloud), id)[service];
    if (Math.round(100 * share) === percent) return;
    if (attempt === CONFIRM_ATTEMPTS)
      throw new Failure(
        `${id} has ${Math.round(100 * share)} % of ${service} instead of ${percent} %. The command` +
          " had no effect, or another person moved the traffic.",
      );
    await pause(pauseMs, stop);
  }
}
