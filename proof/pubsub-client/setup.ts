import { setTimeout as sleep } from "node:timers/promises";
import { createTopicClient } from "../../api/topic-client.ts";
import { createLogger } from "../../common/telemetry/logger.ts";
import type { Decision } from "../../subscriber/decide.ts";
import type { Message } from "../../subscriber/message.ts";
import { startPull } from "../../subscriber/pull.ts";

export const PROJECT = "conformance";
export const APPLIED: Decision = { kind: "settled", outcome: "applied", reason: null };

export const logger = await createLogger({
  service: "test",
  projectId: PROJECT,
  format: "json",
  level: "emerg",
});

/** Pulls a subscription as the subscriber does, with `add` in place of settling. */
export function pullFrom(
  host: string,
  names: { subscription: string; deadLetterSubscription: string },
  add: (message: Message) => Promise<Decision>,
) {
  return startPull({
    projectId: PROJECT,
    emulatorHost: host,
    subscription: parseId(names.subscription),
    deadLetterSubscription: parseId(names.deadLetterSubscription),
    batcher: { add },
    logger,
  });
}

/** Publishes as the API does. */
export function publishTo(host: string, topic: string) {
  return createTopicClient({
    projectId: PROJECT,
    emulatorHost: host,
    topic: parseId(topic),
    logger,
  });
}

export function toMessage(text: string) {
  return { data: Buffer.from(text), attributes: {} };
}

/** Waits until the condition holds; resolves with the milliseconds that it took. */
export async function waitFor(what: string, withinMs: number, condition: () => boolean) {
  const startedAt = Date.now();
  while (!condition()) {
    if (Date.now() - startedAt > withinMs)
      throw new Error(`Timed out after ${withinMs} ms: ${what}.`);
    await sleep(20);
  }
  return Date.now() - startedAt;
}

function parseId(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
