import { setTimeout as sleep } from "node:timers/promises";
import { finishCommand, readVersions } from "./app-engine.ts";
import { describeError, RollbackFailed } from "./failure.ts";
import type { Gcloud } from "./gcloud.ts";
import { say, withProgress } from "./say.ts";
import { ROLLBACK_ATTEMPTS } from "./slo.ts";
import type { Fallback } from "./traffic.ts";
import { readTrafficShares, SERVICES, type ServiceName } from "./versions.ts";

/** The API first, so that the new subscriber still handles what the new API has published. */
const ORDER: readonly ServiceName[] = SERVICES.toReversed();

/**
 * Moves all traffic away from a version, until App Engine shows none on it: first that of the API,
 * and the subscriber's only once the API has none, because the older subscriber may not know what the
 * new API writes. A command that failed may have taken effect and one that succeeded may not, so the
 * traffic is read before and after each command; if it cannot be read, the command's status decides.
 * `gcloud` must ignore signals.
 */
export async function rollBack(
  gcloud: Gcloud,
  id: string,
  fallback: Fallback,
  pauseMs: number,
): Promise<void> {
  say(`rolling back ${id}`);
  const possible = ORDER.filter((service) => fallback[service] !== undefined);
  let open = (await readOpen()) ?? possible;
  for (let attempt = 1; attempt <= ROLLBACK_ATTEMPTS && open.length > 0; attempt += 1) {
    if (attempt > 1) await sleep(pauseMs);
    for (const service of ORDER.filter((one) => open.includes(one))) {
      const hasSucceeded = await putBack(service);
      if (gcloud.isDryRun) continue;
      const seen = await readOpen();
      open = seen ?? open;
      if (seen ? seen.includes(service) : !hasSucceeded) break;
    }
    if (gcloud.isDryRun) return;
  }
  if (open.length === 0) return printTraffic();
  const commands = open.map(
    (service) => `  ${gcloud.formatCommand(finishCommand(service, fallback[service] as string))}`,
  );
  throw new RollbackFailed(
    `${id} may still have traffic after ${ROLLBACK_ATTEMPTS} attempts. Run, in this order:\n` +
      commands.join("\n"),
  );

  /** The services where the version still has traffic and a fallback exists; undefined if unknown. */
  async function readOpen(): Promise<ServiceName[] | undefined> {
    try {
      const shares = readTrafficShares(await readVersions(gcloud), id);
      return possible.filter((service) => shares[service] > 0);
    } catch (error) {
      say(`The traffic cannot be read: ${describeError(error)}`);
      return undefined;
    }
  }

  /** Whether the command has succeeded. */
  async function putBack(service: ServiceName): Promise<boolean> {
    const to = fallback[service] as string;
    try {
      await withProgress(`moving the traffic of ${service} back to ${to}`, () =>
        gcloud.change(finishCommand(service, to)),
      );
      return true;
    } catch (error) {
      say(describeError(error));
      return false;
    }
  }

  function printTraffic(): void {
    for (const service of ORDER) {
      const to = fallback[service];
      say(
        to === undefined
          ? `${service} has no earlier version to move the traffic to`
          : `the traffic of ${service} is on ${to}, none on ${id}`,
      );
    }
  }
}
