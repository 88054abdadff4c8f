import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Backlog, settleBacklog } from "./backlog.ts";
import { checkDeclarations } from "./declarations.ts";
import type { LocalIssuer } from "./issuer.ts";
import { startMysql } from "./mysql.ts";
import { ENGINE_NAMES } from "./mysql-server.ts";
import { DEFAULTS, type Options, readOptions, readSettings, type Settings } from "./options.ts";
import { PortFinder } from "./ports.ts";
import { type LocalProcess, startProcess, withProgress } from "./processes.ts";
import { describePubsub, startPubsub } from "./pubsub.ts";
import { waitUntilReady } from "./readiness.ts";
import { AlreadyRunning, RunFile } from "./run-file.ts";
import { Supervisor } from "./supervisor.ts";
import { createTopology } from "./topology.ts";

const ROOT = join(import.meta.dirname, "..");
const LOCAL = join(ROOT, ".local");
/** 9464 is where OpenTelemetry's own exporters show metrics. */
const WANTED_PORTS = { subscriber: 8090, issuer: 8091, mysql: 13306, metrics: 9464 };
/** The processes stop within two seconds, as App Engine requires. */
const PROCESS_STOP_DEADLINE_MS = 5_000;

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
  // A closed terminal takes no more output; that must not prevent the stop.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => supervisor.interrupt(0, "stopped; your data stays in .local/"));
  }
  try {
    const { address, issuer } = await start(supervisor, options, settings);
    const hasKeys = Boolean(settings.API_KEYS);
    runFile.recordAddress(address);
    console.log(describeRunning(address, issuer, hasKeys));
    throw new Error(`${await supervisor.firstEnd()}`);
  } catch (error) {
    const sentence = (error as Error).message.trim().replace(/\.$/, "");
    await supervisor.stop(1, `${sentence}. Everything is stopped.`);
  }
}

async function claimRun(): Promise<RunFile> {
  try {
    return await RunFile.claim(join(LOCAL, "run.json"), "start.ts", say);
  } catch (error) {
    if (!(error instanceof AlreadyRunning)) throw error;
    console.error(error.message);
    return process.exit(1);
  }
}

/** Starts everything in the order of its dependencies; resolves once the API is ready. */
async function start(
  supervisor: Supervisor,
  options: Options,
  given: Settings,
): Promise<{ address: string; issuer?: LocalIssuer | undefined }> {
  if (options.issuer && given.OIDC_ISSUERS)
    throw new Error("--issuer sets OIDC_ISSUERS, which is set already");
  await checkDeclarations(say);
  const ports = new PortFinder(say, [options.port]);
  const onStart = supervisor.add.bind(supervisor);
  const [mysqlUrl, pubsub] = await Promise.all([
    given.MYSQL_URL ?? startOwnMysql(supervisor, ports, options.engine),
    given.PUBSUB_EMULATOR_HOST
      ? describePubsub(given.PUBSUB_EMULATOR_HOST)
      : startPubsub(options.pubsub, { ports, say, onStart, folder: join(LOCAL, "pubsub") }),
  ]);
  const settings: Settings = {
    ...given,
    DELIVERY: options.delivery,
    MYSQL_URL: mysqlUrl,
    PUBSUB_EMULATOR_HOST: pubsub.host,
    ...(options.delivery === "push" ? pubsub.pushSettings : {}),
  };
  const subscriberPort =
    options.delivery === "push" ? await ports.find(WANTED_PORTS.subscriber, "the subscriber") : 0;
  writeRunEnv(supervisor, settings);
  await createTopology(describeTopology(settings, subscriberPort)).catch((error: Error) => {
    throw new Error(
      `the topics cannot be created on the Pub/Sub at ${pubsub.host}: ${error.message}`,
    );
  });
  await migrate(settings);

  const metricsPort = await ports.find(WANTED_PORTS.metrics, "the subscriber's metrics");
  const subscriber = await startOwn("the subscriber", "subscriber/main.ts", {
    ...settings,
    PORT: String(subscriberPort),
    METRICS_PORT: String(metricsPort),
  });
  supervisor.add(subscriber);
  if (!given.PUBSUB_EMULATOR_HOST) {
    const backlog = describeBacklog(settings, options.pubsub === "local");
    supervisor.addStep(() =>
      withProgress(say, "settling what was accepted", settleBacklog(backlog, subscriber, say)),
    );
  }
  const issuer = options.issuer ? await startOwnIssuer(supervisor, ports) : undefined;
  const port = await ports.find(options.port, "the API");
  const api = await startOwn("the API", "api/main.ts", {
    ...settings,
    ...(issuer ? { OIDC_ISSUERS: issuer.OIDC_ISSUERS } : {}),
    PORT: String(port),
  });
  supervisor.add(api);

  const hasCallers = issuer || given.API_KEYS || given.OIDC_ISSUERS;
  say(
    `metrics: http://localhost:${port}/metrics${hasCallers ? " (with the scope operate)" : ""} and,` +
      ` of the subscriber, :${metricsPort}/metrics`,
  );
  const address = `http://localhost:${port}`;
  const end = supervisor.firstEnd().then((how) => {
    throw new Error(how);
  });
  await Promise.race([withProgress(say, "waiting for the API", waitUntilReady(address)), end]);
  return { address, issuer };
}

async function startOwnIssuer(supervisor: Supervisor, ports: PortFinder): Promise<LocalIssuer> {
  const port = await ports.find(WANTED_PORTS.issuer, "the local issuer");
  // Loads Express and jose, which the other parts of the start need not.
  const { startIssuer } = await import("./issuer.ts");
  const issuer = await startIssuer({ port, folder: join(LOCAL, "issuer") });
  supervisor.add(issuer.process);
  return issuer;
}

/** While the servers run, writes their addresses for commands such as `npm run ops -- dead-letters`. */
function writeRunEnv(supervisor: Supervisor, settings: Settings): void {
  const file = join(LOCAL, "run.env");
  const names = [...Object.keys(DEFAULTS), "MYSQL_URL", "PUBSUB_EMULATOR_HOST"];
  const lines = names.map((name) => `${name}="${settings[name]}"\n`);
  rmSync(file, { force: true });
  writeFileSync(file, lines.join(""), { mode: 0o600 });
  supervisor.addStep(async () => rmSync(file, { force: true }));
}

async function startOwnMysql(supervisor: Supervisor, ports: PortFinder, engine: Options["engine"]) {
  const mysql = await startMysql({
    folder: join(LOCAL, engine),
    port: () => ports.find(WANTED_PORTS.mysql, "MySQL"),
    engine,
    say,
    onStart: (process) => supervisor.add(process),
  });
  say(`${ENGINE_NAMES[mysql.engine]} is ready on port ${mysql.port}`);
  return mysql.url;
}

function describeTopology(settings: Settings, pushPort: number) {
  const push = `http://localhost:${pushPort}/push`;
  const { PUSH_SERVICE_ACCOUNT: email, PUSH_AUDIENCE: audience } = settings;
  return {
    host: settings.PUBSUB_EMULATOR_HOST ?? "",
    projectId: settings.GOOGLE_CLOUD_PROJECT,
    topic: settings.PUBSUB_TOPIC,
    subscription: settings.PUBSUB_SUBSCRIPTION,
    deadLetterTopic: settings.PUBSUB_DEAD_LETTER_TOPIC,
    deadLetterSubscription: settings.PUBSUB_DEAD_LETTER_SUBSCRIPTION,
    ...(pushPort ? { pushEndpoint: push, deadLetterPushEndpoint: `${push}/dead-letters` } : {}),
    ...(email && audience ? { oidcToken: { serviceAccountEmail: email, audience } } : {}),
  };
}

function describeBacklog(settings: Settings, isKept: boolean): Backlog {
  const { host, projectId, subscription, deadLetterSubscription } = describeTopology(settings, 0);
  return { host, projectId, subscriptions: [subscription, deadLetterSubscription], isKept };
}

async function migrate(settings: Settings): Promise<void> {
  const migration = await startOwn("the migration", "ops/migrate.ts", settings);
  const how = await migration.exited;
  if (how !== "exited with code 0") throw new Error(`the migration ${how}`);
}

async function startOwn(name: string, script: string, settings: Settings): Promise<LocalProcess> {
  const file = join(ROOT, script);
  return startProcess({
    name,
    command: [process.execPath, file],
    mark: file,
    env: settings,
    stopDeadlineMs: PROCESS_STOP_DEADLINE_MS,
  });
}

function describeRunning(
  address: string,
  issuer: LocalIssuer | undefined,
  hasKeys: boolean,
): string {
  const login = issuer
    ? `\nLog in at ${issuer.url}; the code is printed here. Writes need the token: TOKEN=…\n`
    : "";
  const credential = issuer ? "$TOKEN" : hasKeys ? "$KEY" : "";
  const authorization = credential && ` -H "Authorization: Bearer ${credential}"`;
  return `
Constancia is running at ${address} (Ctrl-C stops it). Try, in another terminal:
${login}
  curl${authorization} -H "Content-Type: application/json" -H "Prefer: wait=5" -d '{"nombre":"Hola"}' ${address}/api/data
  curl ${address}/api/data
  curl ${address}/
`;
}
