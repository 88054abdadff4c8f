import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import test, { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { type Pubsub, startPubsub } from "../../local/pubsub/server.ts";
import { Bench } from "../support/pubsub/bench.ts";
import { until } from "../support/until.ts";

describe("the pushes of the local Pub/Sub", () => {
  let pubsub: Pubsub;
  let bench: Bench;
  let pushEndpoint: string;
  /** Those that wait for their answer. */
  let open: ServerResponse[];
  let pushes: number;
  let status: number | undefined;

  const endpoint = createServer((_request, response) => {
    pushes += 1;
    if (status) response.writeHead(status).end();
    else open.push(response);
  });
  const answerAll = (code: number) => {
    for (const response of open.splice(0)) response.writeHead(code).end();
  };

  beforeEach(async () => {
    [open, pushes, status] = [[], 0, undefined];
    endpoint.listen(0, "127.0.0.1");
    await once(endpoint, "listening");
    pushEndpoint = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}`;
    pubsub = await startPubsub({ port: 0 });
    bench = await Bench.connect(pubsub.host);
  });
  afterEach(async () => {
    await bench.close();
    await pubsub.stop();
    endpoint.close();
    endpoint.closeAllConnections();
    await once(endpoint, "close");
  });

  it("start with three outstanding, and grow with each acknowledgement", async () => {
    const { topic } = await bench.createPair({ pushConfig: { pushEndpoint } });
    await bench.publish(topic, ...Array(200).fill("x"));
    // The window grows by as many as were under way: it doubles with each round.
    for (const expected of [3, 6, 12, 24, 48]) {
      await until(`${expected} are under way`, () => open.length === expected);
      // The backlog is asked for over another connection: whatever was sent has come by then.
      await bench.pubsub.getTopics();
      assert.equal(open.length, expected);
      answerAll(204);
    }
  });

  it("are reduced and delayed while the endpoint nacks, and resume when it acknowledges", async () => {
    const { topic, subscription } = await bench.createPair({ pushConfig: { pushEndpoint } });
    await bench.publish(topic, ...Array(100).fill("x"));
    await until("three are under way", () => open.length === 3);
    status = 503;
    answerAll(503);
    // Pauses of 100, 200, 400 ms between single pushes; without them there would be thousands.
    await until("a few more were refused", () => pushes >= 6);
    assert.ok(pushes < 20, `${pushes} pushes`);
    status = 204;
    const backlog = async () => (await fetch(`${pubsub.controlUrl}/backlog`)).json();
    await until(
      "all are acknowledged",
      async () => ((await backlog()) as Record<string, number>)[subscription] === 0,
    );
  });

  it("are ended at the ack deadline", async () => {
    const pushConfig = { pushEndpoint };
    const { topic } = await bench.createPair({ pushConfig, ackDeadlineSeconds: 10 });
    await bench.publish(topic, "x");
    await until("one is under way", () => open.length === 1);
    await until("it is ended", () => open[0]?.destroyed === true);
  });

  it("are sent to the current endpoint, and to none once the subscription is deleted", async () => {
    const elsewhere = { pushEndpoint: "http://127.0.0.1:1/nobody" };
    const { topic, subscription } = await bench.createPair({ pushConfig: elsewhere });
    await bench.publish(topic, "x");
    status = 204;
    await bench.subscriber.modifyPushConfig({ subscription, pushConfig: { pushEndpoint } });
    await until("it was pushed", () => pushes === 1);
    await bench.subscriber.deleteSubscription({ subscription });
    await bench.publish(topic, "y");
    await bench.expectNothing(await bench.createSubscription(topic));
    assert.equal(pushes, 1);
  });
});

test("the local Pub/Sub's command prints its options, and rejects others", async () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, ["local/pubsub/main.ts", ...args]);
  const { stdout } = await run("--help");
  for (const option of ["--port", "--control-port", "--data", "--seed", "--chaos", "dropAck"])
    assert.ok(stdout.includes(option), option);
  for (const wrong of [["--nonsense"], ["--port", "x"], ["--fault", "nonsense=1"]])
    await assert.rejects(run(...wrong), { code: 2 }, wrong.join(" "));
});
