import { setTimeout as sleep } from "node:timers/promises";
import { readVersions, sealCommand } from "./app-engine.ts";
import { describeError, RollbackFailed } from "./failure.ts";
import type { Gcloud } from "./gcloud.ts";
import { say, withProgress } from "./say.ts";
import { ROLLBACK_ATTEMPTS } from "./slo.ts";
import type { Haven } from "./traffic.ts";
import { getTrafficShares, SERVICES, type ServiceName } from "./versions.ts";

/** The API first: what its new version publishes, the new subscriber is surest to understand. */
const ORDER: readonly ServiceName[] = SERVICES.toReversed();

/**
 * Takes all traffic from a version, and is done only when App Engine says that it has none. A
 * command that failed may have taken effect and one that succeeded may not, so App Engine is
 * asked before and after each attempt; where App Engine does not even answer that, the command is
 * given all the same. `gcloud` must be one that no signal stops.
 */
export async function rollBack(
  gcloud: Gcloud,
  id: string,
  haven: Haven,
  pauseMs: number,
): Promise<void> {
  say(`rolling back ${id}`);
  let open = await findOpen();
  for (let attempt = 1; attempt <= ROLLBACK_ATTEMPTS && open.length > 0; attempt += 1) {
    if (attempt > 1) await sleep(pauseMs);
    for (const service of open) await putBack(service);
    if (gcloud.isDryRun) return;
    open = await findOpen();
  }
  if (open.length === 0) return sayWhereItIs();
  const commands = open.map(
    (service) => `  ${gcloud.getCommand(sealCommand(service, haven[service] as string))}`,
  );
  throw new RollbackFailed(
    `Traffic may still be on ${id}, after ${ROLLBACK_ATTEMPTS} attempts. Type now:\n${commands.join("\n")}`,
  );

  /** The services that still send traffic to it and have somewhere else to send it. */
  async function findOpen(): Promise<ServiceName[]> {
    const possible = ORDER.filter((service) => haven[service] !== undefined);
    try {
      const shares = getTrafficShares(await readVersions(gcloud), id);
      return possible.filter((service) => shares[service] > 0);
    } catch (error) {
      say(`App Engine does not say where traffic is: ${describeError(error)}`);
      return possible;
    }
  }

  async function putBack(service: ServiceName): Promise<void> {
    const to = haven[service] as string;
    try {
      await withProgress(`putting the traffic of ${service} back on ${to}`, () =>
        gcloud.change(sealCommand(service, to)),
      );
    } catch (error) {
      say(describeError(error));
    }
  }

  function sayWhereItIs(): void {
    for (const service of ORDER) {
      const to = haven[service];
      say(
        to === undefined
          ? `${service} has no earlier version that traffic could go to`
          : `the traffic of ${service} is on ${to}, none on ${id}`,
      );
    }
  }
}
