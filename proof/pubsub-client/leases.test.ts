import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LEASE_SECONDS, PULL_MESSAGES } from "../../common/limits.ts";
import { type Pubsub, startPubsub } from "../../local/pubsub/server.ts";
import type { Decision } from "../../subscriber/decide.ts";
import { Bench } from "../../test/support/pubsub/bench.ts";
import { ScriptedServer } from "../../test/support/pubsub/scripted-server.ts";
import { APPLIED, pullFrom, waitFor } from "./setup.ts";

/** What a machine with full cores may add to a time that is measured. */
const SLACK_MS = 60_000;

describe("leases of pulled messages", { concurrency: true }, () => {
  let pubsub: Pubsub;
  let bench: Bench;
  before(async () => {
    pubsub = await startPubsub({ port: 0, seed: 3 });
    bench = await Bench.connect(pubsub.host);
  });
  after(async () => {
    await bench.close();
    await pubsub.stop();
  });
  const createNames = async () => {
    const { topic, subscription } = await bench.createPair({ ackDeadlineSeconds: 10 });
    const { subscription: deadLetterSubscription } = await bench.createPair();
    return { topic, subscription, deadLetterSubscription };
  };

  it("are extended during slow work: the message is not redelivered meanwhile", async () => {
    const names = await createNames();
    let times = 0;
    const settled = Promise.withResolvers<Decision>();
    const pull = pullFrom(pubsub.host, names, () => {
      times += 1;
      return settled.promise;
    });
    await bench.publish(names.topic, "x");
    await waitFor("it is delivered", SLACK_MS, () => times === 1);
    await bench.expectNothing(names.subscription, (LEASE_SECONDS + 2) * 1_000);
    assert.equal(times, 1);
    settled.resolve(APPLIED);
    await pull.stop();
    await bench.expectNothing(names.subscription);
  });

  it("end with their subscriber: what was killed with its messages is redelivered", async () => {
    const names = await createNames();
    const { subscription, deadLetterSubscription, topic } = names;
    const file = join(import.meta.dirname, "hold-messages.ts");
    const args = [file, pubsub.host, subscription, deadLetterSubscription];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    await bench.publish(topic, "x");
    await waitFor("it is held", 60_000, () => output.includes("holds x"));
    child.kill("SIGKILL");
    const seen: string[] = [];
    const pull = pullFrom(pubsub.host, names, async ({ data }) => {
      seen.push(String(data));
      return APPLIED;
    });
    await waitFor("it is redelivered", LEASE_SECONDS * 1_000 + SLACK_MS, () => seen.length === 1);
    await pull.stop();
  });

  it("cost a bounded number of calls and bytes where every renewal hangs", async (t) => {
    const server = await ScriptedServer.start();
    t.after(() => server.stop());
    server.onExtend = () => new Promise(() => {});
    const messages = Array.from({ length: PULL_MESSAGES }, (_, index) => ({ ackId: `${index}` }));
    server.onStream = (stream) => {
      if (!stream.request.subscription.endsWith("/dead")) stream.deliver(...messages);
    };
    const settled = Promise.withResolvers<Decision>();
    let held = 0;
    const names = { subscription: "s", deadLetterSubscription: "dead" };
    const pull = pullFrom(server.host, names, () => {
      held += 1;
      return settled.promise;
    });
    t.after(() => pull.stop());
    await waitFor("all are held", 60_000, () => held === PULL_MESSAGES);
    const { rss } = process.memoryUsage();
    // Longer than the lease, after which the library's own timer would be a millisecond.
    await sleep(30_000);
    const grownMb = (process.memoryUsage().rss - rss) / 1024 / 1024;
    const extended = server.extensions.reduce((sum, { ackIds }) => sum + ackIds.length, 0);
    assert.ok(extended <= 40 * PULL_MESSAGES, `${extended} extensions`);
    assert.ok(grownMb < 100, `${grownMb} MB more`);
    settled.resolve(APPLIED);
    await waitFor("all are acknowledged", 60_000, () => server.acked.length === PULL_MESSAGES);
  });
});
