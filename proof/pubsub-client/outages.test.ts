import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startPubsub } from "../../local/pubsub/server.ts";
import { Bench } from "../../test/support/pubsub/bench.ts";
import { ScriptedServer } from "../../test/support/pubsub/scripted-server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { APPLIED, publishTo, pullFrom, toMessage, waitFor } from "./setup.ts";

/** The longest pause between two attempts to connect is 5 s; the rest is for full cores. */
const BACK_MS = 10_000;

async function createNames(host: string) {
  const bench = await Bench.connect(host);
  const { topic, subscription } = await bench.createPair({ ackDeadlineSeconds: 10 });
  const { subscription: deadLetterSubscription } = await bench.createPair();
  await bench.close();
  return { topic, subscription, deadLetterSubscription };
}

describe("Pub/Sub's client through outages", { concurrency: true }, () => {
  it("publishes and pulls again soon after an outage of half a minute, and nothing is lost", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "constancia-"));
    let pubsub = await startPubsub({ port: 0, folder });
    const port = Number(pubsub.host.split(":")[1]);
    const names = await createNames(pubsub.host);
    const topic = publishTo(pubsub.host, names.topic);
    const seen = new Set<string>();
    let isSettling = true;
    const pull = pullFrom(pubsub.host, names, async ({ data }) => {
      if (!isSettling) throw new Error("MySQL is away.");
      seen.add(String(data));
      return APPLIED;
    });
    t.after(async () => {
      await Promise.all([pull.stop(), topic.close()]);
      await pubsub.stop();
      await rm(folder, { recursive: true });
    });
    await topic.publish([toMessage("first")]);
    await waitFor("the first is delivered", 60_000, () => seen.has("first"));
    isSettling = false;
    await topic.publish([toMessage("unsettled")]);
    await pubsub.stop();
    const endsAt = Date.now() + 30_000;
    // An attempt meanwhile would only lengthen the pauses.
    while (Date.now() < endsAt) await topic.publish([toMessage("away")]).catch(() => sleep(500));
    isSettling = true;
    pubsub = await startPubsub({ port, folder });
    const restartedAt = Date.now();
    while (!(await topic.publish([toMessage("after")]).catch(() => undefined)));
    assert.ok(Date.now() - restartedAt < BACK_MS, `${Date.now() - restartedAt} ms`);
    await waitFor(
      "both are delivered",
      2 * BACK_MS,
      () => seen.has("unsettled") && seen.has("after"),
    );
  });

  it("replaces a connection that has fallen silent: an idle publisher's, and a pull's", async (t) => {
    const pubsub = await startPubsub({ port: 0 });
    const names = await createNames(pubsub.host);
    // Clients of one address share a connection; the API and the subscriber do not.
    const port = Number(pubsub.host.split(":")[1]);
    const proxies = await Promise.all([TcpProxy.open([port]), TcpProxy.open([port])]);
    const topic = publishTo(proxies[0].host, names.topic);
    const seen = new Set<string>();
    const pull = pullFrom(proxies[1].host, names, async ({ data }) => {
      seen.add(String(data));
      return APPLIED;
    });
    t.after(async () => {
      await Promise.all([pull.stop(), topic.close()]);
      for (const proxy of proxies) proxy.close();
      await pubsub.stop();
    });
    await topic.publish([toMessage("before")]);
    await waitFor("the first is delivered", 60_000, () => seen.has("before"));
    // Longer than the keepalive interval, so that the publisher's connection is idle.
    await sleep(25_000);
    for (const proxy of proxies) proxy.silence();
    // Within its deadline: it rejects after that.
    await topic.publish([toMessage("after")]);
    await waitFor("the second is delivered", 30_000 + BACK_MS, () => seen.has("after"));
  });

  it("loses nothing while keepalives are unanswered for 50 s", async (t) => {
    const server = await ScriptedServer.start();
    t.after(() => server.stop());
    server.answersKeepalives = false;
    let delivered = 0;
    server.onStream = (stream) => {
      if (stream.request.subscription.endsWith("/dead")) return;
      stream.deliver({ ackId: `${delivered++}` }, { ackId: `${delivered++}` });
    };
    const seen = new Set<string>();
    const names = { subscription: "s", deadLetterSubscription: "dead" };
    const pull = pullFrom(server.host, names, async ({ messageId }) => {
      seen.add(messageId);
      return APPLIED;
    });
    t.after(() => pull.stop());
    await sleep(50_000);
    server.answersKeepalives = true;
    await waitFor("the stream was replaced", 60_000, () => delivered > 2);
    await waitFor("all are acknowledged", 60_000, () => server.acked.length === delivered);
    assert.equal(seen.size, delivered);
  });
});
