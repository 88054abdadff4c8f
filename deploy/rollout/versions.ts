/** The services, in the order in which they get the new version's traffic (docs/rollout.md). */
export const SERVICES = ["subscriber", "default"] as const;
export type ServiceName = (typeof SERVICES)[number];

/** A version of one service, as App Engine has it. */
export type Version = {
  service: ServiceName;
  id: string;
  /** Its part of the service's traffic, from 0 to 1. */
  share: number;
  createdAt: number;
  url: string;
};

/** A service and a version of it. */
export type VersionKey = Pick<Version, "service" | "id">;

/** When it was made, in UTC, and of which commit: `v20261121-150400-1a2b3c4`. */
const NAME = /^v\d{8}-\d{6}-([0-9a-f]{7})$/;

/** A label of a host name; what is longer has no certificate, and may have no address. */
const LABEL_CHARACTERS = 63;

export function nameVersion(now: Date, commit: string): string {
  const [day, time] = now.toISOString().replaceAll(/[-:]/g, "").split(/[T.]/);
  return `v${day}-${time}-${commit.slice(0, 7)}`;
}

/** Whether a rollout made this version; others are never deleted. */
export function isOurs(id: string): boolean {
  return NAME.test(id);
}

/** The first seven digits of the commit that a version of ours was made of. */
export function getCommit(id: string): string | undefined {
  return NAME.exec(id)?.[1];
}

/** Whether a host is short enough to have a certificate of App Engine's. */
export function hasSafeLength(host: string): boolean {
  return host.split(".").every((label) => label.length <= LABEL_CHARACTERS);
}

export function getTrafficShares(
  versions: readonly Version[],
  id: string,
): Record<ServiceName, number> {
  const getShare = (service: ServiceName) =>
    versions.find((version) => version.service === service && version.id === id)?.share ?? 0;
  return { subscriber: getShare("subscriber"), default: getShare("default") };
}

/**
 * The versions to delete once all is well: of each service, those of ours without traffic beyond
 * the newest `keep`, the running one counted.
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
 * The versions that came after the one with traffic and have none: they failed, were rolled back
 * or never finished. They go before another version is made, so that whatever is **older** than
 * a running version of ours is known to have run well before it.
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

/** The version of ours, made before `id`, that both services have; the newest, else none. */
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
