import type { Logger } from "./logger.ts";

/** A zone such as southamerica-east1-b; the one that some platforms invent, such as us14, is none. */
const ZONE = /^([a-z]+-[a-z]+\d+)-\w$/;

/**
 * The region that this process runs in, from Google Cloud's metadata server; from the zone where it
 * does not tell the region. Google Cloud stores metrics by location and refuses those without one, so
 * it is logged where neither is told.
 */
export async function findRegion(logger: Logger): Promise<string | undefined> {
  const { gcpMetadata } = await import("google-auth-library");
  // projects/NUMBER/regions/REGION, projects/NUMBER/zones/ZONE
  const read = (property: "region" | "zone") =>
    gcpMetadata.instance(property).then(
      (path) => String(path).slice(String(path).lastIndexOf("/") + 1),
      () => "",
    );
  const region = await read("region");
  if (region !== "") return region;
  const zone = await read("zone");
  const [, found] = ZONE.exec(zone) ?? [];
  if (found === undefined)
    logger.error("no location was found; Google Cloud takes no metrics without one", { zone });
  return found;
}
