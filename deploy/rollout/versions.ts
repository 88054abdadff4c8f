/** The services, in the order in which they get the new version's traffic (docs/rollout.md). */
export const SERVICES = ["subscriber", "default"] as const;
export type ServiceName = (typeof SERVICES)[number];

/** A version of one service on App Engine. */
export type Version = {
  service: ServiceName;
  id: string;
  /** Its share of the service's traffic, from 0 to 1. */
  share: number;
  createdAt: number;
  url: string;
};

/** A service and a version of it. */
export type VersionKey = Pick<Version, "service" | "id">;

/** The time of creation in UTC and the commit: `v20261121-150400-1a2b3c4`. */
const NAME = /^v\d{8}-\d{6}-([0-9a-f]{7})$/;

/** The maximum length of a label of a host name. A longer one has no certificate. */
const LABEL_CHARACTERS = 63;

/** The name of a new version. */
export function nameVersion(now: Date, commit: string): string {
  const [day, time] = now.toISOString().replaceAll(/[-:]/g, "").split(/[T.]/);
  return `v${day}-${time}-${commit.slice(0, 7)}`;
}

/** Whether a rollout created this version. Other versions are never deleted. */
export function isOurs(id: string): boolean {
  return NAME.test(id);
}

/** The first seven digits of the commit of a version that a rollout created. */
export function parseCommit(id: string): string | undefined {
  return NAME.exec(id)?.[1];
}

/** Whether App Engine's certificates cover a host name. */
export function hasSafeLength(host: string): boolean {
  return host.split(".").every((label) => label.length <= LABEL_CHARACTERS);
}

/** A version's share of the traffic of each service. */
export function readTrafficShares(
  versions: readonly Version[],
  id: string,
): Record<ServiceName, number> {
  const readShare = (service: ServiceName) =>
    versions.find((version) => version.service === service && version.id === id)?.share ?? 0;
  return { subscriber: readShare("subscriber"), default: readShare("default") };
}

/**
 * The versions to delete after a successful rollout: in each service, those of rollouts that have
 * no traffic and are not among the newest `keep`.
 */
export function chooseOld(versions: readonly Version[], keep: number): VersionKey[] {
  return SERVICES.flatMap((service) =>
    versions
      .filter((version) => version.service === service && isOurs(version.id))
      .sort((one, other) => other.createdAt - one.createdAt)
      .slice(keep)
      .filter(({ share }) => share === 0),
  );
}

/**
 * The versions that are newer than the one with traffic and have none: they failed, were rolled
 * back or were not finished. They are deleted before a rollout creates another version, so every
 * version **older** than the running one is known to have passed.
 */
export function chooseFailed(versions: readonly Version[], except: string): VersionKey[] {
  return SERVICES.flatMap((service) => {
    const own = versions.filter((version) => version.service === service);
    const live = own.filter(({ share }) => share > 0).map(({ createdAt }) => createdAt);
    return own.filter(
      ({ id, share, createdAt }) =>
        isOurs(id) && id !== except && share === 0 && createdAt > Math.max(...live),
    );
  });
}

/** The newest version of a rollout before `id` that both services have, if any. */
export function findPredecessor(versions: readonly Version[], id: string): string | undefined {
  const madeAt = Math.min(
    ...versions.filter((version) => version.id === id).map(({ createdAt }) => createdAt),
  );
  const older = (service: ServiceName) =>
    versions.filter(
      (version) => version.service === service && isOurs(version.id) && version.createdAt < madeAt,
    );
  const inDefault = new Set(older("default").map((version) => version.id));
  return older("subscriber")
    .filter((version) => inDefault.has(version.id))
    .sort((one, other) => other.createdAt - one.createdAt)[0]?.id;
}
