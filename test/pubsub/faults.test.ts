import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Message } from "@google-cloud/pubsub";
import { CHAOS, type Rates } from "../../local/pubsub/faults.ts";
import { type Pubsub, startPubsub } from "../../local/pubsub/server.ts";
import { Bench, getText, text } from "../support/pubsub/bench.ts";
import { until } from "../support/until.ts";

/** For what is redelivered after its ack deadline only. */
const SHORT_LEASES = { ackDeadlineSeconds: 10 };
const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);

describe("a local Pub/Sub that misbehaves", () => {
  let pubsub: Pubsub;
  let bench: Bench;

  const control = async (method: string, body?: unknown) =>
    await fetch(`${pubsub.controlUrl}/faults`, {
      method,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const misbehave = async (rates: Rates) => {
    const answer = await control("PUT", rates);
    assert.equal(answer.status, 200, await answer.text());
  };
  const counts = async (): Promise<Rates> =>
    ((await (await control("GET")).json()) as { counts: Rates }).counts;

  beforeEach(async () => {
    pubsub = await startPubsub({ port: 0, seed: 11 });
    bench = await Bench.connect(pubsub.host);
  });
  afterEach(async () => {
    await bench.close();
    await pubsub.stop();
  });

  /** How often each text was delivered to streams that acknowledge every message, until `isEnough`. */
  const receive = async (
    subscription: string,
    isEnough: (seen: Map<string, number>) => boolean | Promise<boolean>,
    streams = 1,
  ) => {
    const seen = new Map<string, number>();
    const take = (message: Message) => {
      seen.set(message.data.toString(), (seen.get(message.data.toString()) ?? 0) + 1);
      message.ack();
    };
    const options = { streamingOptions: { maxStreams: streams } };
    await bench.stream(subscription, options, take, () =>
      until("enough is delivered", () => isEnough(seen)),
    );
    return seen;
  };
  const allTwice = (count: number) => (seen: Map<string, number>) =>
    seen.size === count && [...seen.values()].every((times) => times >= 2);

  it("is configured over its control interface, which rejects unknown faults", async () => {
    await misbehave({ cut: 0.5 });
    assert.deepEqual(((await (await control("GET")).json()) as { rates: Rates }).rates, {
      cut: 0.5,
    });
    for (const wrong of [{ nonsense: 1 }, { cut: 7 }])
      assert.equal((await control("PUT", wrong)).status, 400);
    const { rates } = (await (await control("DELETE")).json()) as { rates: Rates };
    assert.deepEqual(rates, {});
    assert.equal((await fetch(`${pubsub.controlUrl}/nothing`)).status, 404);
  });

  it("reports its backlog", async () => {
    const { topic, subscription } = await bench.createPair();
    await bench.publish(topic, "x", "y");
    const read = async () => (await fetch(`${pubsub.controlUrl}/backlog`)).json();
    assert.deepEqual(await read(), { [subscription]: 2 });
    await bench.acknowledge(subscription, await bench.pullAll(subscription, 2));
    assert.deepEqual(await read(), { [subscription]: 0 });
  });

  it("delivers twice", async () => {
    const { topic, subscription } = await bench.createPair();
    await misbehave({ duplicate: 1 });
    await bench.publish(topic, ...numbers(20));
    await receive(subscription, allTwice(20));
    assert.equal((await counts()).duplicate, 20);
  });

  it("delivers to two subscribers at once", async () => {
    const { topic, subscription } = await bench.createPair();
    await misbehave({ twoAtOnce: 1 });
    await bench.publish(topic, ...numbers(20));
    await receive(subscription, allTwice(20), 2);
  });

  it("delivers in another order, the same for the same seed", async () => {
    const orders: string[][] = [];
    for (const seed of [11, 11, 12]) {
      const other = await startPubsub({ port: 0, seed, rates: { reorder: 1 } });
      const own = await Bench.connect(other.host);
      const { topic, subscription } = await own.createPair();
      await own.publish(topic, ...numbers(100));
      const received = await own.pullAll(subscription, 100);
      orders.push(received.map(getText));
      await own.close();
      await other.stop();
    }
    assert.notDeepEqual(orders[0], numbers(100));
    assert.deepEqual(orders[0]?.toSorted(), numbers(100).toSorted());
    assert.deepEqual(orders[1], orders[0]);
    assert.notDeepEqual(orders[2], orders[0]);
  });

  it("delivers late", async () => {
    const { topic, subscription } = await bench.createPair();
    await misbehave({ delay: 1 });
    await bench.publish(topic, ...numbers(20));
    const firstPull = await bench.pull(subscription);
    assert.ok(firstPull.length < 20);
    await bench.pullAll(subscription, 20 - firstPull.length);
    assert.equal((await counts()).delay, 20);
  });

  it("loses acknowledgements", async () => {
    const { topic, subscription } = await bench.createPair(SHORT_LEASES);
    await misbehave({ dropAck: 1 });
    await bench.publish(topic, "x");
    await bench.acknowledge(subscription, await bench.pullAll(subscription, 1));
    await bench.expectNothing(subscription);
    await control("DELETE");
    await bench.acknowledge(subscription, await bench.pullAll(subscription, 1));
  });

  it("loses extensions", async () => {
    const { topic, subscription } = await bench.createPair(SHORT_LEASES);
    await misbehave({ dropExtension: 1 });
    await bench.publish(topic, "x");
    await bench.modify(subscription, await bench.pullAll(subscription, 1), 600);
    await bench.pullAll(subscription, 1);
  });

  it("ends leases early", async () => {
    const { topic, subscription } = await bench.createPair();
    await misbehave({ expireEarly: 1 });
    await bench.publish(topic, "x");
    await bench.pullAll(subscription, 1);
    const again = await bench.pullAll(subscription, 1);
    await bench.modify(subscription, again, 600);
    await bench.pullAll(subscription, 1);
  });

  it("answers UNAVAILABLE, sometimes after the call was done", async () => {
    const { topic, subscription } = await bench.createPair();
    await misbehave({ unavailable: 1 });
    for (const each of numbers(20)) await assert.rejects(bench.publish(topic, each), { code: 14 });
    await bench.createPair();
    await control("DELETE");
    const stored = await bench.pull(subscription);
    assert.ok(stored.length > 0 && stored.length < 20, String(stored.length));
  });

  it("never answers, sometimes after the call was done", async () => {
    const { topic, subscription } = await bench.createPair();
    await misbehave({ hang: 1 });
    const calls = numbers(20).map((each) =>
      bench.publisher.publish(
        { topic, messages: [{ data: text(each) }] },
        { isBundling: false, retry: null, timeout: 3_000 },
      ),
    );
    // All are awaited together: a rejection that nothing awaits would end the process.
    await Promise.all(calls.map((call) => assert.rejects(call, { code: 4 })));
    await control("DELETE");
    const stored = await bench.pull(subscription);
    assert.ok(stored.length > 0 && stored.length < 20, String(stored.length));
  });

  it("ends streams, which the client reopens", async () => {
    const { topic, subscription } = await bench.createPair(SHORT_LEASES);
    await misbehave({ cut: 0.5 });
    for (const each of numbers(10)) await bench.publish(topic, each);
    await receive(subscription, async (seen) => {
      await bench.publish(topic, `more ${seen.size}`);
      return seen.size >= 10 && ((await counts()).cut ?? 0) > 3;
    });
  });

  it("pushes in storms", async () => {
    let pushes = 0;
    const endpoint = createServer((_request, response) => {
      pushes += 1;
      response.writeHead(204).end();
    }).listen(0, "127.0.0.1");
    await once(endpoint, "listening");
    const { port } = endpoint.address() as AddressInfo;
    await misbehave({ storm: 1 });
    const { topic } = await bench.createPair({
      pushConfig: { pushEndpoint: `http://127.0.0.1:${port}` },
    });
    await bench.publish(topic, "x", "y");
    await until("each was pushed five times", () => pushes === 10);
    endpoint.close();
    endpoint.closeAllConnections();
  });

  it("loses nothing, whatever goes wrong", async () => {
    const { topic, subscription } = await bench.createPair(SHORT_LEASES);
    await misbehave(CHAOS);
    const accepted: string[] = [];
    for (const each of numbers(100))
      await bench.publisher
        .publish(
          { topic, messages: Array.from({ length: 10 }, () => ({ data: text(each) })) },
          { isBundling: false, retry: null, timeout: 1_000 },
        )
        .then(
          () => accepted.push(each),
          () => {},
        );
    assert.ok(accepted.length > 50);
    await receive(subscription, (seen) => accepted.every((one) => (seen.get(one) ?? 0) >= 10), 3);
  });
});
