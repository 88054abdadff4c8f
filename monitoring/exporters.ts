import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseMysqlUrl } from "../common/database.ts";
import type { PackageSet } from "../local/debian-packages.ts";
import type { Say } from "../local/processes.ts";
import { findPrograms } from "./programs.ts";

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
  const { programs } = await findPrograms({
    names: NAMES,
    packages: PACKAGES,
    folder: FOLDER,
    missing:
      "no exporters could be found or fetched. Install mysqld_exporter and node_exporter, so that they are on the PATH.",
    say,
  });
  return programs;
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
