import { setTimeout as sleep } from "node:timers/promises";
import type { LocalProcess, Say } from "./processes.ts";
import { isBacklogEmpty } from "./topology.ts";

const DEADLINE_MS = 10_000;

export type Backlog = {
  host: string;
  projectId: string;
  subscriptions: string[];
  /** Whether what is still in them is there at the next start; the emulator forgets it. */
  isKept: boolean;
};

/** Waits, not for ever, until the subscriber has settled all that the API has accepted. */
export async function settleBacklog(
  backlog: Backlog,
  subscriber: LocalProcess,
  say: Say,
): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  let hasEnded = false;
  subscriber.exited.then(() => {
    hasEnded = true;
  });
  while (!(await isEmpty(backlog))) {
    if (hasEnded || Date.now() > deadline) {
      say(
        backlog.isKept
          ? "some accepted writes are not settled yet; the next start settles them"
          : "some accepted writes are NOT settled; the emulator forgets them at its stop",
      );
      return;
    }
    await sleep(100);
  }
  say("every accepted write is settled");
}

async function isEmpty({ host, projectId, subscriptions }: Backlog): Promise<boolean> {
  const answers = subscriptions.map((name) =>
    isBacklogEmpty({ host, projectId, subscription: name }),
  );
  return (await Promise.all(answers)).every((answer) => answer);
}
