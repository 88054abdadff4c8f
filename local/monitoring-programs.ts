import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasPackages, type PackageSet, unpackPackages } from "./debian-packages.ts";
import { findProgram } from "./mysql-server.ts";
import type { Say } from "./processes.ts";

const FOLDER = join(import.meta.dirname, "..", ".local", "monitoring");
/** Their programs are written in Go: they need nothing but the machine's libc. */
const PACKAGES: PackageSet = {
  title: "Prometheus",
  megabytes: 30,
  packages: [["prometheus"], ["prometheus-alertmanager"]],
  withDependencies: false,
};
/** By what is looked for on the PATH; Debian calls one of them otherwise. */
const NAMES = {
  prometheus: ["prometheus"],
  promtool: ["promtool"],
  alertmanager: ["prometheus-alertmanager", "alertmanager"],
  amtool: ["amtool"],
};

/** The files of Prometheus's and Alertmanager's programs. */
export type MonitoringPrograms = Record<keyof typeof NAMES, string>;

/** Finds the programs on the PATH, or unpacks them from the machine's packages, once. */
export async function prepareMonitoringPrograms(say: Say): Promise<MonitoringPrograms> {
  const installed = mapNames((names) => names.map((name) => findProgram(name)).find(Boolean));
  if (isComplete(installed)) return installed;
  if (!hasPackages()) {
    throw new Error(
      "no Prometheus could be found or fetched. Install Prometheus and Alertmanager, so that prometheus, promtool, alertmanager and amtool are on the PATH.",
    );
  }
  await unpackPackages(PACKAGES, FOLDER, say);
  const folder = join(FOLDER, "usr", "bin");
  const unpacked = mapNames(([name = ""]) => {
    const file = join(folder, name);
    return existsSync(file) ? file : undefined;
  });
  if (isComplete(unpacked)) return unpacked;
  throw new Error(`${folder} lacks a program; delete ${FOLDER} and try again`);
}

function mapNames(find: (names: string[]) => string | undefined) {
  const entries = Object.entries(NAMES).map(([program, names]) => [program, find(names)]);
  return Object.fromEntries(entries) as Record<keyof typeof NAMES, string | undefined>;
}

function isComplete(
  programs: Record<keyof typeof NAMES, string | undefined>,
): programs is MonitoringPrograms {
  return Object.values(programs).every((file) => file !== undefined);
}
