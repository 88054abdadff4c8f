import { existsSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasPackages, type PackageSet, unpackPackages } from "../local/debian-packages.ts";
import type { Say } from "../local/processes.ts";
import { findProgram } from "../local/programs.ts";

const FOLDER = join(import.meta.dirname, "..", ".local", "monitoring");
/** Their programs are written in Go: they need nothing but the machine's libc. */
const PACKAGES: PackageSet = {
  title: "Prometheus",
  megabytes: 30,
  // promtool has a package of its own where Prometheus is new enough.
  packages: [["prometheus"], ["promtool", "prometheus"], ["prometheus-alertmanager"]],
  withDependencies: false,
};
/** By what is looked for on the PATH; Debian calls one of them otherwise. */
const NAMES = {
  prometheus: ["prometheus"],
  promtool: ["promtool"],
  alertmanager: ["prometheus-alertmanager", "alertmanager"],
  amtool: ["amtool"],
};

/** Debian's Alertmanager reads its templates in a folder that is written into the program. */
const BUILT_IN_FOLDER = "/usr/share/prometheus/alertmanager";

/** The files of Prometheus's and Alertmanager's programs, and where they have to be started. */
export type MonitoringPrograms = Record<keyof typeof NAMES, string> & { cwd?: string };

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
  if (isComplete(unpacked)) {
    const alertmanager = await relocate(unpacked.alertmanager, join(folder, "relocated"));
    return { ...unpacked, alertmanager, cwd: join(FOLDER, "usr") };
  }
  throw new Error(`${folder} lacks a program; delete ${FOLDER} and try again`);
}

/**
 * A copy of the program that looks for its own files from the folder it is started in, as nothing
 * may be put under /usr. The path keeps its length, because the program counts on that.
 */
async function relocate(program: string, copy: string): Promise<string> {
  if (existsSync(copy)) return copy;
  const here = BUILT_IN_FOLDER.replace(/^.usr/, "././");
  const bytes = await readFile(program, "latin1");
  const draft = `${copy}.${process.pid}`;
  await writeFile(draft, bytes.replaceAll(BUILT_IN_FOLDER, here), {
    encoding: "latin1",
    mode: 0o755,
  });
  await rename(draft, copy);
  return copy;
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
