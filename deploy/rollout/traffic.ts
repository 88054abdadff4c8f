import { Failure } from "./failure.ts";
import type { Delivery } from "./options.ts";
import {
  findPredecessor,
  isOurs,
  readTrafficShares,
  SERVICES,
  type ServiceName,
  type Version,
} from "./versions.ts";

/** The state of the services on App Engine. A rollout keeps no other state. */
export type Traffic = {
  versions: readonly Version[];
  /**
   * Whether the version with all traffic of `default` did not pass its last step yet. A rollout
   * splits traffic at random. After the last step it sets the same traffic again, split by IP
   * address. With a single version App Engine treats both alike, so the setting serves as a mark.
   */
  isUnjudged: boolean;
};

/** The version of each service that a rollback moves the traffic to; undefined if there is none. */
export type Fallback = Record<ServiceName, string | undefined>;

/** One step of a rollout: the new version gets `percent` of the service's traffic. */
export type Stage = { service: ServiceName; percent: number };

/** The version whose rollout began and is not finished, if any. */
export function findUnfinished({ versions, isUnjudged }: Traffic): string | undefined {
  const live = versions.filter(({ id, share }) => share > 0 && isOurs(id));
  const newest = live.sort((one, other) => other.createdAt - one.createdAt)[0]?.id;
  if (newest === undefined) return undefined;
  return hasAllTraffic(versions, newest) && !isUnjudged ? undefined : newest;
}

/** Whether a version has all traffic of both services. */
export function hasAllTraffic(versions: readonly Version[], id: string): boolean {
  return Object.values(readTrafficShares(versions, id)).every((share) => share === 1);
}

/**
 * The versions that get the traffic if `id` fails: the one that shares the service's traffic with
 * it. If it has all of it, the fallback of the other service, otherwise the version before it.
 */
export function findFallback(versions: readonly Version[], id: string): Fallback {
  const fallback: Fallback = { subscriber: undefined, default: undefined };
  for (const service of SERVICES) {
    const others = versions.filter(
      (version) => version.service === service && version.share > 0 && version.id !== id,
    );
    if (others.length > 1)
      throw new Failure(
        `The traffic of ${service} is split between ${others.map((other) => other.id).join(" and ")}, ` +
          "which no rollout did. First move all of it to one of them.",
      );
    fallback[service] = others[0]?.id;
  }
  const exists = (service: ServiceName, other: string | undefined) =>
    versions.some((version) => version.service === service && version.id === other);
  for (const service of SERVICES) {
    if (fallback[service] !== undefined) continue;
    const other = fallback.default ?? fallback.subscriber ?? findPredecessor(versions, id);
    if (exists(service, other)) fallback[service] = other;
  }
  return fallback;
}

/** The versions after a rollback of `id`. */
export function withoutTraffic(
  versions: readonly Version[],
  id: string,
  fallback: Fallback,
): Version[] {
  return versions.map((version) => {
    const { service } = version;
    if (fallback[service] === undefined || readTrafficShares(versions, id)[service] === 0)
      return version;
    return { ...version, share: version.id === fallback[service] ? 1 : 0 };
  });
}

/**
 * The remaining steps, including the one that the traffic is at, because it may not have been
 * judged. A service that has only this version has one step, and so has the subscriber where a worker
 * pool settles, to which App Engine's traffic means nothing: that step judges the pool.
 */
export function planStages(
  versions: readonly Version[],
  id: string,
  fallback: Fallback,
  { steps, delivery = "push" }: { steps: readonly number[]; delivery?: Delivery },
): Stage[] {
  const hasOneStep = (service: ServiceName) =>
    fallback[service] === undefined || (service === "subscriber" && delivery === "worker-pool");
  const stages: Stage[] = SERVICES.flatMap((service) =>
    (hasOneStep(service) ? [100] : steps).map((percent) => ({ service, percent })),
  );
  const shares = readTrafficShares(versions, id);
  const at: ServiceName = shares.subscriber === 1 && shares.default > 0 ? "default" : "subscriber";
  const percent = Math.round(shares[at] * 100);
  if (percent === 0) return stages;
  return stages.slice(
    stages.findIndex((stage) => stage.service === at && stage.percent >= percent),
  );
}
