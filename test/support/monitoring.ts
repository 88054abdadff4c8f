import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findAnyPort } from "../../local/ports.ts";
import {
  buildMachineExporter,
  buildMysqlExporter,
  prepareExporters,
} from "../../monitoring/exporters.ts";
import { type MonitoringPrograms, prepareMonitoringPrograms } from "../../monitoring/programs.ts";
import { until } from "./until.ts";

/** One sample of an answer to a query. */
export type Sample = { metric: Record<string, string>; value: [number, string] };
type Answer = { status: string; error?: string; data: { result: Sample[] } };
export type ActiveAlert = {
  labels: Record<string, string>;
  status: { state: "active" | "suppressed" | "unprocessed" };
};

const ROOT = join(import.meta.dirname, "..", "..", "monitoring");

export const readMonitoring = (file: string) => readFile(join(ROOT, file), "utf8");
export const resolvePath = (file: string) => join(ROOT, file);

/** Why there is no Prometheus to test with, or false. In CI, where there must be one, it throws. */
export async function findMissingMonitoring(say: (line: string) => void): Promise<string | false> {
  try {
    await prepareMonitoringPrograms(say);
    await prepareExporters(say);
    return false;
  } catch (error) {
    if (process.env.CI) throw error;
    return (error as Error).message;
  }
}

/** Real servers, with a folder of their own, for one test file. */
export class Monitoring {
  readonly programs: MonitoringPrograms;
  readonly folder: string;
  readonly #children: ChildProcess[] = [];

  private constructor(programs: MonitoringPrograms, folder: string) {
    this.programs = programs;
    this.folder = folder;
  }

  static async prepare(): Promise<Monitoring> {
    const programs = await prepareMonitoringPrograms(() => {});
    return new Monitoring(programs, await mkdtemp(join(tmpdir(), "monitoring-test-")));
  }

  /** Starts Prometheus on a configuration and its rules; resolves with its URL once it is ready. */
  async startPrometheus(config: string, rules: string): Promise<string> {
    const configFile = join(this.folder, "prometheus.yml");
    await writeFile(join(this.folder, "rules.yml"), rules);
    await writeFile(configFile, config);
    return this.#start("prometheus", [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(this.folder, "prometheus")}`,
    ]);
  }

  /** Starts Alertmanager on a configuration; resolves with its URL once it is ready. */
  async startAlertmanager(config: string): Promise<string> {
    const configFile = join(this.folder, "alertmanager.yml");
    await writeFile(configFile, config);
    return this.#start("alertmanager", [
      `--config.file=${configFile}`,
      `--storage.path=${join(this.folder, "alertmanager")}`,
      "--cluster.listen-address=",
    ]);
  }

  /** Starts the exporters of MySQL and of the machine; resolves with their addresses. */
  async startExporters(mysqlUrl: URL): Promise<{ mysql: string; machine: string }> {
    const programs = await prepareExporters(() => {});
    const addresses = {
      mysql: `127.0.0.1:${await findAnyPort()}`,
      machine: `127.0.0.1:${await findAnyPort()}`,
    };
    const { folder } = this;
    const mysql = { mysqlUrl, folder, address: addresses.mysql };
    await Promise.all([
      this.#run(await buildMysqlExporter(programs, mysql), `http://${addresses.mysql}/`),
      this.#run(buildMachineExporter(programs, addresses.machine), `http://${addresses.machine}/`),
    ]);
    return addresses;
  }

  async close(): Promise<void> {
    const ends = this.#children.map(async (child) => {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, "exit");
    });
    await Promise.all(ends);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #start(program: "prometheus" | "alertmanager", options: string[]): Promise<string> {
    const port = await findAnyPort();
    await mkdir(join(this.folder, program), { recursive: true });
    const url = `http://127.0.0.1:${port}`;
    const address = `--web.listen-address=127.0.0.1:${port}`;
    await this.#run([this.programs[program], ...options, address], `${url}/-/ready`);
    return url;
  }

  /** Runs a server until the end; resolves once it answers there. */
  async #run([program = "", ...options]: string[], readyUrl: string): Promise<void> {
    const { cwd } = this.programs;
    const child = spawn(program, options, { cwd, stdio: ["ignore", "ignore", "pipe"] });
    this.#children.push(child);
    let log = "";
    child.stderr.on("data", (chunk) => {
      log = (log + chunk).slice(-10_000);
    });
    await until(`${program} is ready`, async () => {
      if (child.exitCode !== null) throw new Error(`${program} ended at once: ${log}`);
      return fetch(readyUrl).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  }
}

/** Asks Prometheus; throws what it says where the query is no PromQL. */
export async function ask(prometheus: string, query: string): Promise<Sample[]> {
  const body = new URLSearchParams({ query });
  const response = await fetch(`${prometheus}/api/v1/query`, { method: "POST", body });
  const answer = (await response.json()) as Answer;
  if (answer.status !== "success") throw new Error(`${query}: ${answer.error}`);
  return answer.data.result;
}

/** The alerts that Alertmanager holds, also those that it keeps to itself. */
export async function listAlerts(alertmanager: string): Promise<ActiveAlert[]> {
  const response = await fetch(`${alertmanager}/api/v2/alerts`);
  return (await response.json()) as ActiveAlert[];
}

/** The names of the metrics in an exposition, with those that a histogram or summary adds. */
export function metricsIn(exposition: string): Set<string> {
  const names = new Set<string>();
  for (const [, name = "", type = ""] of exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    names.add(name);
    const parts = { histogram: ["_bucket", "_sum", "_count"], summary: ["_sum", "_count"] };
    for (const part of parts[type as keyof typeof parts] ?? []) names.add(name + part);
  }
  return names;
}
