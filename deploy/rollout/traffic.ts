import { Failure } from "./failure.ts";
import {
  findPredecessor,
  getTrafficShares,
  isOurs,
  SERVICES,
  type ServiceName,
  type Version,
} from "./versions.ts";

/** What App Engine says of the services: the only memory that a rollout has. */
export type Traffic = {
  versions: readonly Version[];
  /**
   * Whether the version that has all traffic of `default` was never found good there. A rollout
   * splits at random and, when all is judged, sets the same traffic once more, split by address:
   * with one version that means nothing to App Engine, and is our mark.
   */
  isOnTrial: boolean;
};

/** Where each service's traffic goes back to; undefined where nothing else ever ran. */
export type Haven = Record<ServiceName, string | undefined>;

/** One step of a rollout: so many percent of the service's traffic on the new version. */
export type Stage = { service: ServiceName; percent: number };

/** The version whose rollout was begun and not brought to an end, if any. */
export function findUnfinished({ versions, isOnTrial }: Traffic): string | undefined {
  const live = versions.filter(({ id, share }) => share > 0 && isOurs(id));
  const newest = live.sort((one, other) => other.createdAt - one.createdAt)[0]?.id;
  if (newest === undefined) return undefined;
  return hasAll(versions, newest) && !isOnTrial ? undefined : newest;
}

/** Whether a version has all the traffic there is. */
export function hasAll(versions: readonly Version[], id: string): boolean {
  return Object.values(getTrafficShares(versions, id)).every((share) => share === 1);
}

/**
 * Where traffic goes back to if `id` fails: what shares the service with it; where it has the
 * service alone, what the other service goes back to, else the version before it.
 */
export function findHaven(versions: readonly Version[], id: string): Haven {
  const haven: Haven = { subscriber: undefined, default: undefined };
  for (const service of SERVICES) {
    const others = versions.filter(
      (version) => version.service === service && version.share > 0 && version.id !== id,
    );
    if (others.length > 1)
      throw new Failure(
        `The traffic of ${service} is split between ${others.map((other) => other.id).join(" and ")}, ` +
          "by no rollout of this program. Put all of it on one of them first.",
      );
    haven[service] = others[0]?.id;
  }
  const exists = (service: ServiceName, other: string | undefined) =>
    versions.some((version) => version.service === service && version.id === other);
  for (const service of SERVICES) {
    if (haven[service] !== undefined) continue;
    const fallback = haven.default ?? haven.subscriber ?? findPredecessor(versions, id);
    if (exists(service, fallback)) haven[service] = fallback;
  }
  return haven;
}

/** The versions as they are once {@link Haven} has the traffic of `id`. */
export function withoutTraffic(versions: readonly Version[], id: string, haven: Haven): Version[] {
  return versions.map((version) => {
    const { service } = version;
    if (haven[service] === undefined || getTrafficShares(versions, id)[service] === 0)
      return version;
    return { ...version, share: version.id === haven[service] ? 1 : 0 };
  });
}

/**
 * The steps that are still to be done, the one that traffic stands at included: nobody knows
 * whether it was judged. A service that has only this version has one step.
 */
export function planStages(
  versions: readonly Version[],
  id: string,
  haven: Haven,
  steps: readonly number[],
): Stage[] {
  const stages: Stage[] = SERVICES.flatMap((service) =>
    (haven[service] === undefined ? [100] : steps).map((percent) => ({ service, percent })),
  );
  const shares = getTrafficShares(versions, id);
  const at: ServiceName = shares.subscriber === 1 && shares.default > 0 ? "default" : "subscriber";
  const percent = Math.round(shares[at] * 100);
  if (percent === 0) return stages;
  return stages.slice(
    stages.findIndex((stage) => stage.service === at && stage.percent >= percent),
  );
}
