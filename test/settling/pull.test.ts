import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { createTopicClient } from "../../api/topic-client.ts";
import { LEASE_SECONDS, PULL_BYTES, PULL_MESSAGES } from "../../common/limits.ts";
import { type Pubsub, startPubsub } from "../../local/pubsub/server.ts";
import { Subscription } from "../../local/pubsub/subscriptions/subscription.ts";
import { encodeMessage } from "../../local/pubsub/wire.ts";
import { TcpProxy } from "../../proof/support/tcp-proxy.ts";
import type { Decision } from "../../subscriber/decide.ts";
import type { Message } from "../../subscriber/message.ts";
import { startPull } from "../../subscriber/pull.ts";
import { createTestLogger } from "../support/logger.ts";
import { Bench, getText } from "../support/pubsub/bench.ts";
import { ScriptedServer, type ScriptedStream } from "../support/pubsub/scripted-server.ts";
import { until } from "../support/until.ts";

const APPLIED: Decision = { kind: "settled", outcome: "applied", reason: null };
const logger = await createTestLogger("emerg");
const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);

describe("pulling", () => {
  let pubsub: Pubsub;
  let bench: Bench;
  let topic: string;
  let subscription: string;
  let deadLetterSubscription: string;
  let pull: ReturnType<typeof startPull> | undefined;

  beforeEach(async () => {
    pubsub = await startPubsub({ port: 0, seed: 3 });
    bench = await Bench.connect(pubsub.host);
    ({ topic, subscription } = await bench.createPair({ ackDeadlineSeconds: 10 }));
    ({ subscription: deadLetterSubscription } = await bench.createPair());
  });
  afterEach(async () => {
    await pull?.stop();
    pull = undefined;
    await bench.close();
    await pubsub.stop();
  });

  const start = (add: (message: Message) => Promise<Decision>) => {
    const parseId = (name: string) => name.slice(name.lastIndexOf("/") + 1);
    pull = startPull({
      projectId: bench.project,
      emulatorHost: pubsub.host,
      subscription: parseId(subscription),
      deadLetterSubscription: parseId(deadLetterSubscription),
      batcher: { add },
      logger,
    });
  };
  const stop = async () => {
    await pull?.stop();
    pull = undefined;
  };

  it("delivers a message as it was published, and acknowledges it once it is settled", async () => {
    const settled = Promise.withResolvers<Decision>();
    const seen: Message[] = [];
    start((message) => {
      seen.push(message);
      return settled.promise;
    });
    const data = Buffer.from([0, 255, 10]);
    const attributes = { "ce-id": "1", empty: "", ñandú: "✓" };
    const [messageId] = await bench.publish(topic, { data, attributes });
    await until("it is delivered", () => seen.length === 1);
    const { receivedMs, publishedAt, ...message } = seen[0] as Message;
    assert.deepEqual(message, { messageId, attributes, data });
    assert.ok(Math.abs(Number(publishedAt) - Date.now()) < 60_000);
    assert.ok(Math.abs(Number(receivedMs) - Date.now()) < 60_000);
    settled.resolve(APPLIED);
    await stop();
    await bench.expectNothing(subscription);
    assert.equal(seen.length, 1);
  });

  it("nacks what has no outcome, so that it is redelivered", async () => {
    const answers = [
      Promise.reject(new Error("MySQL is away.")),
      Promise.resolve<Decision>({ kind: "not-yet", reason: "It waits." }),
    ];
    answers[0]?.catch(() => {});
    const seen: Message[] = [];
    start((message) => answers[seen.push(message) - 1] ?? Promise.resolve(APPLIED));
    await bench.publish(topic, "x");
    await until("it is delivered three times", () => seen.length === 3);
    await stop();
    const times = new Set(seen.map(({ publishedAt }) => publishedAt));
    assert.equal(times.size, 1, "each delivery has the time at which it was published");
    await bench.expectNothing(subscription);
  });

  it("says of a message of the dead-letter topic why it is dead", async () => {
    const { topic, subscription } = await bench.createPair();
    deadLetterSubscription = subscription;
    const seen: Message[] = [];
    start(async (message) => {
      seen.push(message);
      return { kind: "settled", outcome: "dead", reason: "x" } satisfies Decision;
    });
    await bench.publish(topic, "x");
    await until("it is delivered", () => seen.length === 1);
    assert.match(seen[0]?.deliveryExhausted ?? "", /used up the delivery attempts/);
  });

  it("nacks at the stop what is not settled by then", async (t) => {
    const modify = t.mock.method(Subscription.prototype, "modify");
    let times = 0;
    const settled = Promise.withResolvers<Decision>();
    start(() => {
      times += 1;
      return settled.promise;
    });
    await bench.publish(topic, "x");
    await until("it is delivered", () => times === 1);
    await stop();
    const isNack = ({ arguments: [, seconds] }: { arguments: unknown[] }) => seconds === 0;
    await until("it is nacked", () => modify.mock.calls.some(isNack));
    const [again] = await bench.pullAll(subscription, 1);
    assert.equal(again && getText(again), "x");
    settled.resolve(APPLIED);
    await setImmediate();
  });

  it("replaces each stream that was cut, and loses nothing by it", async () => {
    pubsub.broker.faults.set({ cut: 1 });
    const seen: string[] = [];
    start(async ({ data }) => {
      seen.push(String(data));
      return APPLIED;
    });
    for (const text of numbers(10)) {
      await bench.publish(topic, text);
      await until("it is delivered", () => seen.includes(text));
    }
    assert.ok((pubsub.broker.faults.counts.cut ?? 0) >= 10);
  });

  it("resumes after Pub/Sub was restarted", async () => {
    const seen = new Set<string>();
    start(async ({ data }) => {
      seen.add(String(data));
      return APPLIED;
    });
    await bench.publish(topic, "before");
    await until("the first is delivered", () => seen.size === 1);
    const port = Number(pubsub.host.split(":")[1]);
    await bench.close();
    await pubsub.stop();
    pubsub = await startPubsub({ port });
    bench = await Bench.connect(pubsub.host);
    await bench.publisher.createTopic({ name: topic });
    for (const name of [subscription, deadLetterSubscription])
      await bench.subscriber.createSubscription({ name, topic });
    await bench.publish(topic, "after");
    await until("the second is delivered", () => seen.has("after"));
  });
});

/** What a pull is started with, and what it wrote to its log. */
function startScripted(
  server: Pick<ScriptedServer, "host">,
  add: (message: Message) => Promise<Decision>,
  options: { subscription?: string; silenceMs?: number; maxMessages?: number } = {},
) {
  const lines: { level: string; message: string; code?: number }[] = [];
  const log = (level: string) => (message: string, fields: object) =>
    void lines.push({ level, message, ...fields });
  const { stop } = startPull({
    projectId: "p",
    emulatorHost: server.host,
    subscription: "s",
    deadLetterSubscription: "dead",
    batcher: { add },
    logger: { warn: log("warn"), error: log("error") } as unknown as typeof logger,
    ...options,
  });
  return { stop, lines };
}

describe("pulling from a server that follows a script", () => {
  let server: ScriptedServer;
  let pull: ReturnType<typeof startScripted> | undefined;
  /** Both subscriptions are streamed and looked at. */
  const isDeadLetter = (subscription: string) => subscription.endsWith("/dead");
  /** Streams of the main subscription. */
  const getStreams = () =>
    server.streams.filter(({ request }) => !isDeadLetter(request.subscription));

  beforeEach(async () => {
    server = await ScriptedServer.start();
  });
  afterEach(async () => {
    await pull?.stop();
    server.stop();
  });

  const onMainStream = (handle: (stream: ScriptedStream, index: number) => void) => {
    server.onStream = (stream) => {
      if (!isDeadLetter(stream.request.subscription)) handle(stream, getStreams().length - 1);
    };
  };

  it("asks for its lease in the stream's first request, and for each message", async () => {
    onMainStream((stream) => stream.deliver({ ackId: "1" }));
    const settled = Promise.withResolvers<Decision>();
    pull = startScripted(server, () => settled.promise);
    await until("the lease is extended", () => server.extensions.length > 0);
    const [stream] = getStreams();
    assert.equal(stream?.request.streamAckDeadlineSeconds, LEASE_SECONDS);
    assert.equal(stream?.request.maxOutstandingMessages, PULL_MESSAGES);
    assert.deepEqual(server.extensions[0], { ackIds: ["1"], ackDeadlineSeconds: LEASE_SECONDS });
    settled.resolve(APPLIED);
    await until("it is acknowledged", () => server.acked.includes("1"));
  });

  it("delivers all of a response of which one message alone has all the bytes allowed", async () => {
    const large = { ackId: "large", data: Buffer.alloc(PULL_BYTES) };
    onMainStream((stream) => stream.deliver(large, { ackId: "1" }, { ackId: "2" }, { ackId: "3" }));
    pull = startScripted(server, async () => APPLIED);
    await until("all are acknowledged", () => server.acked.length === 4);
    assert.deepEqual(server.acked.toSorted(), ["1", "2", "3", "large"]);
  });

  it("nacks nothing of what a server sends beyond the limits", async () => {
    const PER_RESPONSE = 1_000;
    const RESPONSES = 12;
    let sent = 0;
    onMainStream((stream) => {
      for (let response = 0; response < RESPONSES; response += 1)
        stream.deliver(...numbers(PER_RESPONSE).map(() => ({ ackId: `${sent++}` })));
    });
    const waiting: (() => void)[] = [];
    let most = 0;
    pull = startScripted(server, () => {
      const { promise, resolve } = Promise.withResolvers<Decision>();
      most = Math.max(
        most,
        waiting.push(() => resolve(APPLIED)),
      );
      return promise;
    });
    await until("it is full", () => waiting.length >= PULL_MESSAGES);
    // More would be delivered by now.
    await sleep(500);
    await until("all are acknowledged", () => {
      for (const settle of waiting.splice(0, PER_RESPONSE)) settle();
      return server.acked.length === PER_RESPONSE * RESPONSES;
    });
    assert.ok(most <= PULL_MESSAGES + PER_RESPONSE, `${most} were under way`);
    assert.deepEqual(server.nacked, []);
  });

  it("replaces a stream whatever status it ends with, and says so where the library would not", async () => {
    const PASSING = [1, 4, 8, 10, 13, 14];
    const OTHERS = [0, 2, 3, 5, 7, 9, 16];
    const codes = [...PASSING, ...OTHERS];
    onMainStream((stream, index) => {
      const code = codes[index];
      stream.deliver({ ackId: `before ${code}` });
      if (code !== undefined) stream.end(code);
    });
    pull = startScripted(server, async () => APPLIED);
    await until("each was replaced", () => getStreams().length > codes.length);
    const logged = pull.lines.map(({ code }) => code);
    assert.deepEqual(logged, OTHERS);
    assert.deepEqual(server.nacked, []);
  });

  it("waits for a subscription that does not exist yet, and says so", async () => {
    let exists = false;
    onMainStream((stream) => (exists ? stream.deliver({ ackId: "1" }) : stream.end(5)));
    pull = startScripted(server, async () => APPLIED);
    await until("it has been tried twice", () => getStreams().length >= 2);
    exists = true;
    await until("its message is acknowledged", () => server.acked.includes("1"));
    const { message, code } = pull.lines[0] ?? {};
    assert.equal(message, "the subscription cannot be pulled; trying again");
    assert.equal(code, 5);
    assert.equal(process.exitCode, undefined);
  });

  it("notices that messages wait while none is delivered, and opens the subscription again", async () => {
    onMainStream((stream, index) => {
      if (index === 1) stream.deliver({ ackId: "by the second stream" });
    });
    const publishTime = { seconds: Math.floor(Date.now() / 1_000) - 60 };
    let isFound = false;
    server.onPull = (name) => {
      // On a slow machine the first look may come before the first stream.
      if (isFound || isDeadLetter(name) || getStreams().length === 0)
        return { receivedMessages: [] };
      isFound = true;
      const message = encodeMessage({ messageId: "7", data: Buffer.from("{}"), publishTime });
      return { receivedMessages: [{ ackId: "by a pull", message }] };
    };
    const seen: string[] = [];
    const add = async ({ messageId }: Message) => {
      seen.push(messageId);
      return APPLIED;
    };
    pull = startScripted(server, add, { silenceMs: 200 });
    await until("both are acknowledged", () => server.acked.length === 2);
    assert.deepEqual(server.acked.toSorted(), ["by a pull", "by the second stream"]);
    assert.deepEqual(seen.toSorted(), ["7", "by the second stream"]);
    assert.match(pull.lines[0]?.message ?? "", /messages wait, but none is delivered/);
    assert.equal(getStreams()[0]?.isOpen, false);
  });

  it("notices it too where all connections have fallen silent, that of the look itself included", async (context) => {
    const proxy = await TcpProxy.open([server.port]);
    context.after(() => proxy.close());
    onMainStream((stream, index) => {
      if (index === 0) stream.deliver({ ackId: "before" });
    });
    let waits = false;
    let looks = 0;
    const publishTime = { seconds: Math.floor(Date.now() / 1_000) - 60 };
    server.onPull = () => {
      looks += 1;
      const message = encodeMessage({ messageId: "7", data: Buffer.from("{}"), publishTime });
      return { receivedMessages: waits ? [{ ackId: "found", message }] : [] };
    };
    pull = startScripted(proxy, async () => APPLIED, { silenceMs: 200 });
    await until("both subscriptions were looked at", () => looks >= 2 && server.acked.length > 0);
    proxy.silence();
    waits = true;
    // Each client has a connection of its own; the look gives up its own after 5 s.
    await until("the message is acknowledged", () => server.acked.includes("found"));
    await until("the subscription is opened again", () => getStreams().length > 1);
  });

  for (const [what, settles] of [
    ["acknowledges at a stop a message that was found waiting", true],
    ["nacks at a stop a message that was found waiting and is not settled in time", false],
  ] as const)
    it(what, async () => {
      onMainStream(() => {});
      let pulls = 0;
      server.onPull = (name) => {
        if (isDeadLetter(name)) return { receivedMessages: [] };
        pulls += 1;
        const message = encodeMessage({ messageId: "7", data: Buffer.from("{}") });
        return { receivedMessages: pulls > 1 ? [] : [{ ackId: "found", message }] };
      };
      const settled = Promise.withResolvers<Decision>();
      let isUnderWay = false;
      pull = startScripted(
        server,
        () => {
          isUnderWay = true;
          return settled.promise;
        },
        { silenceMs: 100 },
      );
      await until("it is under way", () => isUnderWay);
      const stopped = pull.stop();
      if (settles) settled.resolve(APPLIED);
      await stopped;
      await until("it was answered", () => server.acked.length + server.nacked.length > 0);
      assert.deepEqual([server.acked, server.nacked], settles ? [["found"], []] : [[], ["found"]]);
    });

  it("keeps the stream where silence means that nothing waits", async () => {
    let pulls = 0;
    server.onPull = () => {
      pulls += 1;
      return { receivedMessages: [] };
    };
    pull = startScripted(server, async () => APPLIED, { silenceMs: 50 });
    await until("it has asked", () => pulls >= 6);
    assert.equal(getStreams().length, 1);
    assert.deepEqual(pull.lines, []);
  });

  it("leaves tracing to the process, whichever copy of OpenTelemetry's API a tracer is set in", async () => {
    const started: string[] = [];
    const provider = { getTracer: () => ({ startSpan: (name: string) => started.push(name) }) };
    const library = createRequire(import.meta.resolve("@google-cloud/pubsub"));
    const copies = [createRequire(import.meta.url), library].map((load) =>
      load("@opentelemetry/api"),
    );
    assert.notEqual(copies[0], copies[1], "there is one copy now: this test may be simpler");
    for (const { trace } of copies) trace.setGlobalTracerProvider(provider);
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const client = createTopicClient({
      projectId: "p",
      emulatorHost: server.host,
      topic: "writes",
      logger,
    });
    onMainStream((stream) => stream.deliver({ ackId: "1", attributes: { traceparent } }));
    const seen: Message[] = [];
    pull = startScripted(server, async (message) => {
      seen.push(message);
      return APPLIED;
    });
    await client.publish([{ attributes: { traceparent }, data: Buffer.from("{}") }]);
    await until("it is acknowledged", () => server.acked.length === 1);
    await client.close();
    for (const { trace } of copies) trace.disable();
    assert.deepEqual(server.published[0]?.messages[0]?.attributes, { traceparent });
    assert.deepEqual(seen[0]?.attributes, { traceparent });
    assert.deepEqual(started, []);
  });

  it("opens nothing where it is stopped while it starts", async () => {
    pull = startScripted(server, async () => APPLIED);
    // A stop that was missed lasts until its deadline, by when the streams are open.
    await pull.stop();
    assert.deepEqual(server.streams, []);
  });

  it("acknowledges at a stop what is settled in time", async () => {
    onMainStream((stream) => stream.deliver({ ackId: "1" }, { ackId: "2" }));
    const waiting: ((settlement: Decision) => void)[] = [];
    pull = startScripted(server, () => new Promise((resolve) => waiting.push(resolve)));
    await until("both are under way", () => waiting.length === 2);
    const stopped = pull.stop();
    for (const settle of waiting) settle(APPLIED);
    await stopped;
    await until("both are acknowledged", () => server.acked.length === 2);
    assert.deepEqual(server.acked.toSorted(), ["1", "2"]);
    assert.deepEqual(server.nacked, []);
  });

  it("nacks at a stop also what is still on its way", async () => {
    const PER_RESPONSE = 100;
    const all = numbers(1_000);
    onMainStream((stream) => {
      for (let sent = 0; sent < all.length; sent += PER_RESPONSE)
        stream.deliver(...all.slice(sent, sent + PER_RESPONSE).map((ackId) => ({ ackId })));
    });
    let stopped: Promise<void> | undefined;
    pull = startScripted(server, async () => {
      stopped ??= pull?.stop();
      return APPLIED;
    });
    await until("it is stopped by the first message", () => stopped !== undefined);
    await stopped;
    await until("each is acknowledged or nacked", () => {
      return new Set([...server.acked, ...server.nacked]).size === all.length;
    });
    assert.ok(server.acked.length <= PER_RESPONSE, `${server.acked.length} were settled`);
  });

  it("nacks at a stop what is not settled in time, also while it is full", async () => {
    // A stop has a second for nacks, in which a busy machine sends these.
    const maxMessages = 100;
    const all = numbers(maxMessages + 50).map((ackId) => ({ ackId }));
    onMainStream((stream) => stream.deliver(...all));
    let underWay = 0;
    const never = () => {
      underWay += 1;
      return new Promise<never>(() => {});
    };
    pull = startScripted(server, never, { maxMessages });
    await until("all are under way", () => underWay === all.length);
    await pull.stop();
    await until("all are nacked", () => new Set(server.nacked).size === all.length);
    assert.deepEqual(server.acked, []);
  });
});
