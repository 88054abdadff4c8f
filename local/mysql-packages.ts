import { type PackageSet, unpackPackages } from "./debian-packages.ts";
import type { Say } from "./processes.ts";

export const ENGINES = ["mysql", "mariadb"] as const;
export type Engine = (typeof ENGINES)[number];

const PACKAGES: Record<Engine, PackageSet> = {
  mysql: {
    title: "MySQL",
    megabytes: 60,
    packages: [["mysql-server-core", "mysql-server-core-8.4", "mysql-server-core-8.0"]],
    withDependencies: true,
    // Debian's stable suites have no MySQL; its unstable one does, for the same processors.
    debianSuite: "sid",
  },
  mariadb: {
    title: "MariaDB",
    megabytes: 60,
    packages: [["mariadb-server-core", "mariadb-server-core-10.6"]],
    withDependencies: true,
  },
};

/** Unpacks the server and all that it needs into the folder, once. */
export async function unpackServer(engine: Engine, folder: string, say: Say): Promise<void> {
  await unpackPackages(PACKAGES[engine], folder, say);
}
