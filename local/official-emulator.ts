import { globSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type LocalProcess, type Say, startProcess, withProgress } from "./processes.ts";
import { findProgram, isDockerRunning } from "./programs.ts";

export type EmulatorOptions = {
  port: number;
  /** For the emulator's own output. */
  logFile: string;
  say: Say;
  /** Called as soon as the process runs, before it is ready. */
  onStart?: (process: LocalProcess) => void;
};

export type Emulator = { host: string; pid: number; stop(): Promise<void> };

const READY_DEADLINE_MS = 120_000;
const STOP_DEADLINE_MS = 5_000;
const DOCKER_IMAGE = "gcr.io/google.com/cloudsdktool/google-cloud-cli:emulators";
const NOTHING_FOUND = `no Pub/Sub emulator could be found. Leave out --pubsub=emulator, install the Google Cloud SDK with "gcloud components install pubsub-emulator" (or "sudo apt install google-cloud-cli-pubsub-emulator") and Java 11 or newer, start Docker, or set PUBSUB_EMULATOR_HOST to one that runs (host:port).`;

/** Starts Google's own emulator; it keeps everything in memory and forgets it at the stop. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { port, logFile, say, onStart } = options;
  const mark = `constancia-emulator-${port}`;
  const command = findJavaCommand(port, mark) ?? findDockerCommand(port, mark);
  if (!command) throw new Error(NOTHING_FOUND);
  const running = await startProcess({
    name: "the Pub/Sub emulator",
    command,
    mark,
    logFile,
    stopDeadlineMs: STOP_DEADLINE_MS,
  });
  onStart?.(running);
  const host = `127.0.0.1:${port}`;
  try {
    await withProgress(
      say,
      "starting the Pub/Sub emulator",
      waitUntilAnswers(host, running, logFile),
    );
  } catch (error) {
    await running.stop();
    throw error;
  }
  return { host, pid: running.pid, stop: running.stop };
}

/** Where Google's emulator is: its jar, or Docker's image; undefined where neither can run. */
export function findOfficialEmulator(): string | undefined {
  return findJar() ?? (isDockerRunning() ? DOCKER_IMAGE : undefined);
}

/** The command that the SDK's script ends in; run directly, the pid is the emulator's own. */
function findJavaCommand(port: number, mark: string): string[] | undefined {
  const jar = findJar();
  if (!jar) return undefined;
  return [findJava(), `-Dconstancia=${mark}`, "-jar", jar, "--host=127.0.0.1", `--port=${port}`];
}

/** The emulator in the Google Cloud SDK; undefined, too, where there is no Java to run it. */
function findJar(): string | undefined {
  const gcloud = findProgram("gcloud");
  if (!gcloud || !findJava()) return undefined;
  const folder = join(realpathSync(gcloud), "..", "..", "platform", "pubsub-emulator", "lib");
  return globSync(join(folder, "*.jar"))[0];
}

function findJava(): string {
  const home = process.env.JAVA_HOME;
  return home ? join(home, "bin", "java") : (findProgram("java") ?? "");
}

function findDockerCommand(port: number, mark: string): string[] | undefined {
  if (!isDockerRunning()) return undefined;
  return [
    "docker",
    "run",
    "--rm",
    "--name",
    mark,
    "--publish",
    `127.0.0.1:${port}:8085`,
    DOCKER_IMAGE,
    "gcloud",
    "beta",
    "emulators",
    "pubsub",
    "start",
    "--host-port=0.0.0.0:8085",
  ];
}

/** Waits until it answers HTTP; throws with the path of its log where it ends or never does. */
export async function waitUntilAnswers(host: string, emulator: LocalProcess, logFile: string) {
  const deadline = Date.now() + READY_DEADLINE_MS;
  let end: string | undefined;
  emulator.exited.then((how) => {
    end = how;
  });
  while (!(await answers(host))) {
    if (end === undefined && Date.now() < deadline) await sleep(50);
    else throw new Error(`${emulator.name} ${end ?? "does not answer"}; its log is ${logFile}`);
  }
}

async function answers(host: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}/`, { signal: AbortSignal.timeout(1_000) });
    return response.ok;
  } catch {
    return false;
  }
}
