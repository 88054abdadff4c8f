import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { PortFinder } from "../local/ports.ts";
import { startProcess } from "../local/processes.ts";
import { AlreadyRunning, RunFile } from "../local/run-file.ts";
import { Supervisor } from "../local/supervisor.ts";
import { parseOptions, UsageError } from "../ops/command-line.ts";
import { type Addresses, adaptPrometheus, addReceivers } from "./config.ts";
import {
  buildMachineExporter,
  buildMysqlExporter,
  type ExporterName,
  prepareExporters,
} from "./exporters.ts";
import { prepareMonitoringPrograms } from "./programs.ts";

const HELP = `npm run monitoring -- [options]

Runs Prometheus, Alertmanager, and the exporters of MySQL and of the machine beside a running npm
start, for machines without Docker, until Ctrl-C. Their data is kept in .local/monitoring-data/ for 15 days.

  --api HOST:PORT         the API (default: localhost:8080)
  --subscriber HOST:PORT  the subscriber's METRICS_PORT (default: localhost:9464)
  --help                  this text

ALERT_SLACK_URL names an incoming webhook of Slack that alerts are sent to, and ALERT_WEBHOOK_URL any
other webhook; without them they are shown only.
`;
const CONFIGS = import.meta.dirname;
const DATA = join(import.meta.dirname, "..", ".local", "monitoring-data");
/** npm start writes the address of its MySQL there. */
const RUN_ENV = join(import.meta.dirname, "..", ".local", "run.env");
const WANTED_PORTS = { prometheus: 9090, alertmanager: 9093, mysql: 9104, machine: 9100 };
const STOP_DEADLINE_MS = 10_000;

const say = (line: string) => console.log(`constancia: ${line}`);

try {
  const options = readOptions();
  if (options.help) console.log(HELP);
  else await main(options);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`constancia: ${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}

function readOptions() {
  return parseOptions({
    options: {
      api: { type: "string", default: "localhost:8080" },
      subscriber: { type: "string", default: "localhost:9464" },
      help: { type: "boolean", default: false },
    },
  }).values;
}

async function main(options: { api: string; subscriber: string }): Promise<void> {
  mkdirSync(DATA, { recursive: true });
  const runFile = await RunFile.claim(join(DATA, "run.json"), "monitoring/main.ts", say).catch(
    (error: Error) => {
      if (!(error instanceof AlreadyRunning)) throw error;
      say("npm run monitoring is already running");
      return process.exit(1);
    },
  );
  const supervisor = new Supervisor(runFile, say);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => supervisor.interrupt(0, "stopped"));
  await run(supervisor, options).catch((error: Error) => supervisor.stop(1, error.message));
}

/** Starts all of it on free ports; rejects once one has ended. */
async function run(
  supervisor: Supervisor,
  { api, subscriber }: { api: string; subscriber: string },
): Promise<void> {
  const programs = await prepareMonitoringPrograms(say);
  const ports = new PortFinder(say);
  const alertmanager = `127.0.0.1:${await ports.find(WANTED_PORTS.alertmanager, "Alertmanager")}`;
  const prometheus = `127.0.0.1:${await ports.find(WANTED_PORTS.prometheus, "Prometheus")}`;
  const exporters = await startExporters(supervisor, ports);
  writeConfigs({ api, subscriber, alertmanager, ...exporters });
  const start = (name: "prometheus" | "alertmanager", address: string, ...options: string[]) =>
    startProcess({
      name,
      command: [
        programs[name],
        `--config.file=${join(DATA, `${name}.yml`)}`,
        `--web.listen-address=${address}`,
        ...options,
      ],
      mark: DATA,
      cwd: programs.cwd,
      logFile: join(DATA, `${name}.log`),
      stopDeadlineMs: STOP_DEADLINE_MS,
    });
  supervisor.add(
    await start(
      "alertmanager",
      alertmanager,
      `--storage.path=${join(DATA, "alertmanager")}`,
      "--cluster.listen-address=",
    ),
  );
  supervisor.add(
    await start(
      "prometheus",
      prometheus,
      `--storage.tsdb.path=${join(DATA, "prometheus")}`,
      "--storage.tsdb.retention.time=15d",
    ),
  );
  say(`Prometheus is at http://${prometheus}/alerts and Alertmanager at http://${alertmanager}`);
  throw new Error(`${await supervisor.firstEnd()}; its log is in ${DATA}`);
}

/** Starts what there is of the exporters; without them, the rest runs. Returns their addresses. */
async function startExporters(
  supervisor: Supervisor,
  ports: PortFinder,
): Promise<{ mysql?: string; machine?: string }> {
  const programs = await prepareExporters(say).catch((error: Error) => say(error.message));
  if (!programs) return {};
  const find = async (name: ExporterName) =>
    `127.0.0.1:${await ports.find(WANTED_PORTS[name], name)}`;
  const start = async (name: ExporterName, command: string[]) => {
    const logFile = join(DATA, `${name}-exporter.log`);
    const mark = command[1] ?? "";
    const options = { name: `${name} exporter`, command, mark, logFile };
    supervisor.add(await startProcess({ ...options, stopDeadlineMs: STOP_DEADLINE_MS }));
  };
  const machine = await find("machine");
  await start("machine", buildMachineExporter(programs, machine));
  const mysqlUrl = findMysqlUrl();
  if (!mysqlUrl) {
    say("MYSQL_URL is not set and npm start does not run: MySQL is not watched");
    return { machine };
  }
  const mysql = await find("mysql");
  await start(
    "mysql",
    await buildMysqlExporter(programs, { mysqlUrl, folder: DATA, address: mysql }),
  );
  return { machine, mysql };
}

function findMysqlUrl(): URL | undefined {
  const own = existsSync(RUN_ENV) ? parseEnv(readFileSync(RUN_ENV, "utf8")).MYSQL_URL : undefined;
  const text = process.env.MYSQL_URL || own;
  return text ? new URL(text) : undefined;
}

function writeConfigs(addresses: Addresses): void {
  const read = (file: string) => readFileSync(join(CONFIGS, file), "utf8");
  const write = (file: string, text: string) => writeFileSync(join(DATA, file), text);
  const { ALERT_WEBHOOK_URL: webhook, ALERT_SLACK_URL: slack } = process.env;
  write("alertmanager.yml", addReceivers(read("alertmanager.yml"), { webhook, slack }));
  write("rules.yml", read("rules.yml"));
  write("prometheus.yml", adaptPrometheus(read("prometheus.yml"), addresses));
}
