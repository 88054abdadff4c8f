import { escapeControls } from "../../ops/escape-controls.ts";

/** A line every so often, so that nobody wonders whether it still runs. */
const STILL_MS = 10_000;

/** Prints a line for people, with the time of day in UTC. */
export function say(line: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${escapeControls(line)}\n`);
}

/** Prints text as it is, but for what would steer the terminal; some of it came from outside. */
export function print(text: string, stream: NodeJS.WriteStream = process.stdout): void {
  stream.write(escapeControls(text));
}

/** Says what is under way, again every ten seconds, and how long it took. */
export async function withProgress<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1_000);
  say(`${what} …`);
  const timer = setInterval(() => say(`${what} … (${seconds()} s)`), STILL_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
