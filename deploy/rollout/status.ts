import { readTraffic } from "./app-engine.ts";
import type { Gcloud } from "./gcloud.ts";
import { print } from "./say.ts";
import { findUnfinished } from "./traffic.ts";
import { SERVICES } from "./versions.ts";

/** `--status`: prints the versions with traffic and whether a rollout is open. */
export async function showStatus(gcloud: Gcloud): Promise<void> {
  const traffic = await readTraffic(gcloud);
  for (const service of SERVICES) {
    const own = traffic.versions.filter((version) => version.service === service);
    if (own.length === 0) print(`${service}  has no version\n`);
    for (const { id, share, createdAt } of own.filter((version) => version.share > 0)) {
      const made = new Date(createdAt).toISOString();
      print(
        `${service.padEnd(10)}  ${String(Math.round(100 * share)).padStart(3)} %  ${id}  ${made}\n`,
      );
    }
  }
  const open = findUnfinished(traffic);
  print(
    open === undefined
      ? "No rollout is open.\n"
      : `The rollout of ${open} is not finished. Run it again, or run npm run rollout -- --rollback.\n`,
  );
}
