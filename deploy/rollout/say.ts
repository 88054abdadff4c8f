import { escapeControls } from "../../ops/escape-controls.ts";

/** How often a running task prints a line. */
const PROGRESS_MS = 10_000;

/** Prints a line with the time of day in UTC. */
export function say(line: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${escapeControls(line)}\n`);
}

/** Prints text, with control characters escaped, because a part is from outside. */
export function print(text: string, stream: NodeJS.WriteStream = process.stdout): void {
  stream.write(escapeControls(text));
}

/** Prints what is running, when it starts and every ten seconds after. */
export async function withProgress<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1_000);
  say(`${what} …`);
  const timer = setInterval(() => say(`${what} … (${seconds()} s)`), PROGRESS_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
