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
  const { programs, unpackedIn } = await findPrograms({
    names: NAMES,
    packages: PACKAGES,
    folder: FOLDER,
    missing:
      "no Prometheus could be found or fetched. Install Prometheus and Alertmanager, so that prometheus, promtool, alertmanager and amtool are on the PATH.",
    say,
  });
  if (unpackedIn === undefined) return programs;
  const alertmanager = await relocate(programs.alertmanager, join(unpackedIn, "relocated"));
  return { ...programs, alertmanager, cwd: join(FOLDER, "usr") };
}

/**
 * Finds programs by their possible names on the PATH, or unpacks them from the machine's packages, once;
 * of these the first name counts. Throws `missing` where there are no packages. Returns their files, and
 * the folder where they were unpacked.
 */
export async function findPrograms<Name extends string>({
  names,
  packages,
  folder,
  missing,
  say,
}: {
  names: Readonly<Record<Name, readonly string[]>>;
  packages: PackageSet;
  folder: string;
  missing: string;
  say: Say;
}): Promise<{ programs: Record<Name, string>; unpackedIn?: string }> {
  const mapNames = (find: (own: readonly string[]) => string | undefined) => {
    const entries = Object.keys(names).map((name) => [name, find(names[name as Name])] as const);
    if (entries.some(([, file]) => file === undefined)) return undefined;
    return Object.fromEntries(entries) as Record<Name, string>;
  };
  const installed = mapNames((own) => own.map((name) => findProgram(name)).find(Boolean));
  if (installed) return { programs: installed };
  if (!hasPackages()) throw new Error(missing);
  await unpackPackages(packages, folder, say);
  const unpackedIn = join(folder, "usr", "bin");
  const programs = mapNames(([name = ""]) => {
    const file = join(unpackedIn, name);
    return existsSync(file) ? file : undefined;
  });
  if (programs) return { programs, unpackedIn };
  throw new Error(`${unpackedIn} lacks a program; delete ${folder} and try again`);
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
