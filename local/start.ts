import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startMysql } from "./mysql.ts";
import { PortFinder } from "./ports.ts";
import { sayWhile, startProcess } from "./processes.ts";
import { startEmulator } from "./pubsub-emulator.ts";
import { AlreadyRunning, RunFile } from "./run-file.ts";
import { Supervisor } from "./supervisor.ts";
import { createTopology, isBacklogEmpty } from "./topology.ts";

const ROOT = join(import.meta.dirname, "..");
const LOCAL = join(ROOT, ".local");
const HELP = `npm start -- [options]

Starts a MySQL, a Pub/Sub emulator, the API and the subscriber, and stops them on Ctrl-C.

  --port N            the API's port, or the next free one (default: PORT, else 8080)
  --delivery MODE     how messages reach the subscriber: pull or push (default: pull)
  --engine ENGINE     mysql or mariadb (default: mysql); each has data of its own
  --help              this text

MYSQL_URL or PUBSUB_EMULATOR_HOST, if set, name servers that run already; they are left alone.
Other variables of the processes can be set too, here or in a file named .env.
`;
const DEFAULTS = {
  NODE_ENV: "development",
  GOOGLE_CLOUD_PROJECT: "constancia-local",
  PUBSUB_TOPIC: "constancia-writes",
  PUBSUB_SUBSCRIPTION: "constancia-writes-settle",
  PUBSUB_DEAD_LETTER_TOPIC: "constancia-dead-letters",
  PUBSUB_DEAD_LETTER_SUBSCRIPTION: "constancia-dead-letters-keep",
  LOG_FORMAT: "pretty",
  METRICS: "on",
  METADATA_SERVER_DETECTION: "none",
};
const WANTED_PORTS = { api: 8080, subscriber: 8090, mysql: 13306, emulator: 8085 };
/** The processes give themselves two seconds, as App Engine does. */
const PROCESS_STOP_DEADLINE_MS = 5_000;
const READY_DEADLINE_MS = 30_000;
const BACKLOG_DEADLINE_MS = 10_000;
/** Looking takes a message away for up to its backoff: longer than the first two of those. */
const BACKLOG_QUIET_MS = 3_500;

type Options = { port: number; delivery: "pull" | "push"; engine: "mysql" | "mariadb" };
type Settings = typeof DEFAULTS & NodeJS.ProcessEnv;

const say = (line: string) => console.log(`constancia: ${line}`);

await main();

async function main(): Promise<void> {
  if (existsSync(join(ROOT, ".env"))) process.loadEnvFile(join(ROOT, ".env"));
  const options = readOptions();
  const settings = readSettings();
  process.env.METADATA_SERVER_DETECTION = settings.METADATA_SERVER_DETECTION;
  mkdirSync(LOCAL, { recursive: true });
  const runFile = await claimRun();
  const supervisor = new Supervisor(runFile, say);
  // A terminal that was closed takes no more output; that must not keep us from stopping.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => supervisor.stop(0, "stopped; your data stays in .local/"));
  }
  try {
    const address = await start(supervisor, options, settings);
    runFile.recordAddress(address);
    console.log(describeRunning(address));
    throw new Error(`${await supervisor.firstEnd()}, which was not asked of it`);
  } catch (error) {
    await supervisor.stop(1, `${(error as Error).message}. Everything is stopped.`);
  }
}

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: process.env.PORT || String(WANTED_PORTS.api) },
        delivery: { type: "string", default: process.env.DELIVERY || "pull" },
        engine: { type: "string", default: "mysql" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const port = Number(values.port);
    if (!(Number.isInteger(port) && port > 0 && port < 65_536)) {
      throw new Error(`--port must be a number from 1 to 65535, not "${values.port}"`);
    }
    return {
      port,
      delivery: oneOf("--delivery", values.delivery, ["pull", "push"]),
      engine: oneOf("--engine", values.engine, ["mysql", "mariadb"]),
    };
  } catch (error) {
    console.error(
      `constancia: ${(error as Error).message} (npm start -- --help tells the options)`,
    );
    return process.exit(2);
  }
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (!found) throw new Error(`${option} must be ${allowed.join(" or ")}, not "${value}"`);
  return found;
}

/** What the user has set, even to nothing in the shell's way, goes before our defaults. */
function readSettings(): Settings {
  const given = Object.entries(process.env).filter(([, value]) => value !== "");
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}

async function claimRun(): Promise<RunFile> {
  try {
    return await RunFile.claim(join(LOCAL, "run.json"), "local/start.ts", say);
  } catch (error) {
    if (!(error instanceof AlreadyRunning)) throw error;
    console.error(error.message);
    return process.exit(1);
  }
}

/** Starts everything in the order of need; resolves with the API's address once it is ready. */
async function start(supervisor: Supervisor, options: Options, given: Settings): Promise<string> {
  const ports = new PortFinder(say);
  const port = await ports.find(options.port, "the API");
  const settings: Settings = {
    ...given,
    DELIVERY: options.delivery,
    MYSQL_URL: given.MYSQL_URL ?? (await startOwnMysql(supervisor, ports, options.engine)),
    PUBSUB_EMULATOR_HOST: given.PUBSUB_EMULATOR_HOST ?? (await startOwnEmulator(supervisor, ports)),
  };
  const subscriberPort =
    options.delivery === "push" ? await ports.find(WANTED_PORTS.subscriber, "the subscriber") : 0;
  await createTopology(topologyOf(settings, subscriberPort));
  await migrate(settings);

  const subscriberSettings = { ...settings, PORT: String(subscriberPort) };
  if (options.delivery === "push") subscriberSettings.PUSH_AUTH = "off";
  supervisor.add(await startOwn("subscriber", subscriberSettings));
  if (!given.PUBSUB_EMULATOR_HOST) supervisor.addStep(() => settleBacklog(settings));
  supervisor.add(await startOwn("api", { ...settings, PORT: String(port) }));

  const address = `http://localhost:${port}`;
  const end = supervisor.firstEnd().then((how) => {
    throw new Error(how);
  });
  await Promise.race([sayWhile(say, "waiting for the API", waitUntilReady(address)), end]);
  return address;
}

async function startOwnMysql(supervisor: Supervisor, ports: PortFinder, engine: Options["engine"]) {
  const { url, port } = await startMysql({
    folder: join(LOCAL, engine),
    port: await ports.find(WANTED_PORTS.mysql, "MySQL"),
    engine,
    say,
    onStart: (process) => supervisor.add(process),
  });
  say(`MySQL is ready on port ${port}`);
  return url;
}

async function startOwnEmulator(supervisor: Supervisor, ports: PortFinder): Promise<string> {
  const { host } = await startEmulator({
    port: await ports.find(WANTED_PORTS.emulator, "the Pub/Sub emulator"),
    logFile: join(LOCAL, "pubsub-emulator.log"),
    say,
    onStart: (process) => supervisor.add(process),
  });
  say(`the Pub/Sub emulator is ready on ${host}`);
  return host;
}

function topologyOf(settings: Settings, pushPort: number) {
  const push = `http://localhost:${pushPort}/push`;
  return {
    host: settings.PUBSUB_EMULATOR_HOST ?? "",
    projectId: settings.GOOGLE_CLOUD_PROJECT,
    topic: settings.PUBSUB_TOPIC,
    subscription: settings.PUBSUB_SUBSCRIPTION,
    deadLetterTopic: settings.PUBSUB_DEAD_LETTER_TOPIC,
    deadLetterSubscription: settings.PUBSUB_DEAD_LETTER_SUBSCRIPTION,
    ...(pushPort ? { pushEndpoint: push, deadLetterPushEndpoint: `${push}/dead-letters` } : {}),
  };
}
