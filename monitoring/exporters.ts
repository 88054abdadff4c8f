import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseMysqlUrl } from "../common/database.ts";
import { hasPackages, type PackageSet, unpackPackages } from "../local/debian-packages.ts";
import type { Say } from "../local/processes.ts";
import { findProgram } from "../local/programs.ts";

/** What stands beside the processes, and is scraped too: MySQL, and the machine. */
export type ExporterName = "mysql" | "machine";
/** The files of their programs. */
export type ExporterPrograms = Record<ExporterName, string>;

const FOLDER = join(import.meta.dirname, "..", ".local", "exporters");
const PACKAGES: PackageSet = {
  title: "node_exporter and mysqld_exporter",
  megabytes: 10,
  packages: [["prometheus-mysqld-exporter"], ["prometheus-node-exporter"]],
  withDependencies: false,
};
/** By what is looked for on the PATH; Debian's names come first. */
const NAMES: Record<ExporterName, string[]> = {
  mysql: ["prometheus-mysqld-exporter", "mysqld_exporter"],
  machine: ["prometheus-node-exporter", "node_exporter"],
};

/** Finds the programs on the PATH, or unpacks them from the machine's packages, once. */
export async function prepareExporters(say: Say): Promise<ExporterPrograms> {
  const installed = mapNames((names) => names.map((name) => findProgram(name)).find(Boolean));
  if (installed) return installed;
  if (!hasPackages())
    throw new Error(
      "no exporters could be found or fetched. Install mysqld_exporter and node_exporter, so that they are on the PATH.",
    );
  await unpackPackages(PACKAGES, FOLDER, say);
  const folder = join(FOLDER, "usr", "bin");
  const unpacked = mapNames(([name = ""]) => {
    const file = join(folder, name);
    return existsSync(file) ? file : undefined;
  });
  if (!unpacked) throw new Error(`${folder} lacks a program; delete ${FOLDER} and try again`);
  return unpacked;
}

/**
 * Collectors that need rights which the processes' own account lacks (PROCESS, REPLICATION CLIENT).
 * compose.yaml has the same.
 */
export const MYSQL_EXPORTER_OPTIONS = [
  "--no-collect.slave_status",
  "--no-collect.info_schema.innodb_cmp",
  "--no-collect.info_schema.innodb_cmpmem",
  "--no-collect.info_schema.query_response_time",
];

/**
 * The command of MySQL's exporter, which logs in as the processes do; `folder` takes a file with the
 * password, so that the list of processes does not show it.
 */
export async function buildMysqlExporter(
  programs: ExporterPrograms,
  { mysqlUrl, folder, address }: { mysqlUrl: URL; folder: string; address: string },
): Promise<string[]> {
  const { user, password, socketPath, host, port } = parseMysqlUrl(mysqlUrl) as {
    user: string;
    password: string;
    socketPath?: string;
    host?: string;
    port?: number;
  };
  const file = join(folder, "mysql-exporter.cnf");
  const place = socketPath ? [`socket=${socketPath}`] : [`host=${host}`, `port=${port}`];
  const lines = ["[client]", `user=${user}`, `password=${password}`, ...place];
  await writeFile(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  const options = [`--config.my-cnf=${file}`, `--web.listen-address=${address}`];
  return [programs.mysql, ...options, ...MYSQL_EXPORTER_OPTIONS];
}

/** The command of the machine's exporter: processor, memory, disks and network, and nothing of programs. */
export function buildMachineExporter({ machine }: ExporterPrograms, address: string): string[] {
  const collectors = ["cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev"];
  return [
    machine,
    `--web.listen-address=${address}`,
    "--collector.disable-defaults",
    ...collectors.map((name) => `--collector.${name}`),
  ];
}

function mapNames(find: (names: string[]) => string | undefined): ExporterPrograms | undefined {
  const entries = Object.entries(NAMES).map(([name, names]) => [name, find(names)] as const);
  if (entries.some(([, file]) => file === undefined)) return undefined;
  return Object.fromEntries(entries) as ExporterPrograms;
}
