import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";

/** A process that is not ended exits by itself after this time. */
const LONGEST_MS = 30 * 60_000;
const LOOP = `const end = Date.now() + ${LONGEST_MS}; while (Date.now() < end);`;

/** Keeps every core busy with a process of its own until the returned function is called. */
export async function keepCoresBusy(): Promise<() => Promise<void>> {
  const children = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ["-e", LOOP], { stdio: "ignore" }),
  );
  const ends = children.map(createEnd);
  await Promise.all(children.map((child) => once(child, "spawn")));
  return async () => {
    for (const end of ends) await end();
  };
}

function createEnd(child: ChildProcess): () => Promise<void> {
  const ended = once(child, "exit");
  return async () => {
    child.kill("SIGKILL");
    await ended;
  };
}
