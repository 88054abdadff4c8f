import { join } from "node:path";
import { waitUntilAnswers } from "./official-emulator.ts";
import { findAnyPort } from "./ports.ts";
import { type LocalProcess, type Say, startProcess, withProgress } from "./processes.ts";

export type LocalPubsubOptions = {
  port: number;
  /** Default: any free port. */
  controlPort?: number;
  /** Keeps unsettled messages for the next start; by default they end with the process. */
  folder?: string;
  logFile: string;
  say: Say;
  /** More of its options, such as `--chaos`. */
  args?: string[];
  /** Called as soon as the process runs, before it is ready. */
  onStart?: (process: LocalProcess) => void;
};

export type LocalPubsub = { host: string; controlUrl: string; pid: number; stop(): Promise<void> };

const MAIN = join(import.meta.dirname, "pubsub", "main.ts");
const STOP_DEADLINE_MS = 5_000;

/** Starts the local Pub/Sub as a process of its own. */
export async function startLocalPubsub(options: LocalPubsubOptions): Promise<LocalPubsub> {
  const { port, folder, logFile, say, args = [], onStart } = options;
  const controlPort = options.controlPort ?? (await findAnyPort());
  const ports = [`--port=${port}`, `--control-port=${controlPort}`];
  const running = await startProcess({
    name: "the local Pub/Sub",
    command: [process.execPath, MAIN, ...ports, ...(folder ? [`--data=${folder}`] : []), ...args],
    mark: `${MAIN} --port=${port}`,
    logFile,
    stopDeadlineMs: STOP_DEADLINE_MS,
  });
  onStart?.(running);
  const control = `127.0.0.1:${controlPort}`;
  try {
    const ready = waitUntilAnswers(control, running, logFile);
    await withProgress(say, "starting the local Pub/Sub", ready);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return {
    host: `127.0.0.1:${port}`,
    controlUrl: `http://${control}`,
    pid: running.pid,
    stop: running.stop,
  };
}
