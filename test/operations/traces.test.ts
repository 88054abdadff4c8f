import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { PubSub } from "@google-cloud/pubsub";
import { query } from "../../common/database.ts";
import { findAnyPort } from "../../local/ports.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient, publishByHand } from "../support/http.ts";
import { type ReceivedSpan, startOtlpReceiver } from "../support/otlp-receiver.ts";
import type { Spawned } from "../support/processes.ts";
import { until } from "../support/until.ts";

const CALLER = "00f067aa0ba902b7";
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

/** Turns the environment's subscription into one that the emulator pushes. */
async function pushTo({ env }: TestEnvironment, port: number): Promise<void> {
  const pubsub = new PubSub({
    projectId: env.GOOGLE_CLOUD_PROJECT as string,
    apiEndpoint: env.PUBSUB_EMULATOR_HOST as string,
    emulatorMode: true,
  });
  const subscription = pubsub.subscription(env.PUBSUB_SUBSCRIPTION as string);
  await subscription.modifyPushConfig({ pushEndpoint: `http://127.0.0.1:${port}/push` });
  await pubsub.close();
}

for (const delivery of ["pull", "push"] as const)
  describe(`the trace of a write that is delivered by ${delivery}`, () => {
    let environment: TestEnvironment;
    let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
    let api: Client;
    let processes: Spawned[];

    before(async () => {
      environment = await createTestEnvironment();
      receiver = await startOtlpReceiver();
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, LOG_FORMAT: "json" };
      const push = { DELIVERY: "push", PUSH_AUTH: "off" };
      processes = await Promise.all([
        environment.spawn("api", env),
        environment.spawn("subscriber", delivery === "push" ? { ...env, ...push } : env),
      ]);
      api = createClient((processes[0] as Spawned).url);
      if (delivery === "push") await pushTo(environment, (processes[1] as Spawned).port);
    });
    after(async () => {
      await environment.close();
      await receiver.close();
    });

    const findSpans = (trace: string) => receiver.spans.filter(({ traceId }) => traceId === trace);
    const named = (spans: ReceivedSpan[], name: string) =>
      spans.filter((span) => span.name === name || span.name.startsWith(`${name} `));
    /** The spans of a trace, once the subscriber's have come too. */
    async function collect(trace: string, processed = 1): Promise<ReceivedSpan[]> {
      await until(`the whole trace ${trace} has come`, () => {
        const spans = findSpans(trace);
        return named(spans, "process").length >= processed && named(spans, "POST").length > 0;
      });
      return findSpans(trace);
    }

    it("leads from the caller through Pub/Sub into MySQL", async () => {
      const headers = { traceparent: `00-${TRACE}-${CALLER}-01` };
      const { body } = await api.post("/api/data", { nombre: "traced" }, headers);
      assert.equal((await api.settled(body.receipt)).trace, TRACE);
      const spans = await collect(TRACE);
      const one = (name: string) => {
        const [span, ...others] = named(spans, name);
        assert.ok(span && others.length === 0, `${name}: ${spans.map((s) => s.name)}`);
        return span;
      };
      const chain = [one("POST"), one("send"), one("process"), one("settle")];
      let parent = CALLER;
      for (const span of chain) {
        assert.equal(span.parentSpanId, parent, span.name);
        assert.ok(span.endMs >= span.startMs, span.name);
        parent = span.spanId;
      }
      const [server, send, process, settle] = chain as Required<typeof chain> & ReceivedSpan[];
      assert.deepEqual(
        chain.map(({ kind, service }) => [kind, service]),
        [
          ["server", "constancia-api"],
          ["producer", "constancia-api"],
          ["consumer", "constancia-subscriber"],
          ["internal", "constancia-subscriber"],
        ],
      );
      assert.equal(server?.name, "POST /api/:collection");
      assert.equal(server?.attributes["http.response.status_code"], 202);
      for (const span of [send, process])
        assert.equal(span?.attributes["constancia.write"], body.write);
      assert.equal(
        send?.attributes["messaging.message.id"],
        process?.attributes["messaging.message.id"],
      );
      assert.equal(process?.attributes["constancia.outcome"], "applied");
      assert.equal(process?.resource["gcp.project_id"], "constancia-test");
      const place = ({ traceId, spanId }: { traceId: string; spanId: string }) => [traceId, spanId];
      assert.deepEqual(settle?.links.map(place), [place(process as ReceivedSpan)]);
      assert.deepEqual(process?.links.map(place), [place(settle as ReceivedSpan)]);
      const statements = spans.filter(({ parentSpanId }) => parentSpanId === settle?.spanId);
      const names = statements.map(({ name }) => name);
      for (const name of ["START TRANSACTION", "SELECT data", "INSERT data", "COMMIT"])
        assert.ok(names.includes(name.replace(" TRANSACTION", "")), `${name}: ${names}`);
      for (const { kind, attributes } of statements) {
        assert.equal(kind, "client");
        assert.doesNotMatch(String(attributes["db.query.text"]), /traced/);
      }
    });

    it("is whole for each write of a batch, which has one settle span with links to all", async () => {
      const records = Array.from({ length: 300 }, (_, index) => ({ nombre: `batch ${index}` }));
      const { body } = await api.post("/api/data", records);
      for (const { receipt } of body.results) await api.settled(receipt);
      const [first] = body.results;
      const { trace } = await api.settled(first?.receipt as string);
      const spans = await collect(trace as string, records.length);
      const processes = named(spans, "process");
      assert.equal(processes.length, records.length);
      const sends = new Set(named(spans, "send").map(({ spanId }) => spanId));
      assert.equal(sends.size, records.length);
      const settles = new Map(named(receiver.spans, "settle").map((span) => [span.spanId, span]));
      for (const process of processes) {
        assert.ok(sends.delete(process.parentSpanId), "each process span has its own publish span");
        const [link] = process.links;
        const settle = settles.get(link?.spanId ?? "");
        assert.ok(settle?.links.some(({ spanId }) => spanId === process.spanId));
      }
      if (delivery === "pull")
        assert.ok([...settles.values()].some(({ links }) => links.length > 1));
    });

    it("has a process span for each delivery of a message that is redelivered", async () => {
      const trace = "a".repeat(31).concat("1");
      const headers = { traceparent: `00-${trace}-${CALLER}-01` };
      const { body } = await api.post("/api/data", { nombre: "twice" }, headers);
      await api.settled(body.receipt);
      const [process] = named(await collect(trace), "process");
      const send = named(findSpans(trace), "send")[0] as ReceivedSpan;
      await publishByHand(environment, [
        {
          attributes: {
            "ce-specversion": "1.0",
            "ce-type": "dev.constancia.create",
            "ce-source": "/api/data",
            "ce-subject": body.id,
            "ce-id": body.write,
            "content-type": "application/json",
            traceparent: `00-${trace}-${send.spanId}-01`,
          },
          data: Buffer.from('{"nombre":"twice"}'),
        },
      ]);
      const [, again] = named(await collect(trace, 2), "process");
      assert.equal(again?.parentSpanId, process?.parentSpanId);
      assert.equal(again?.attributes["constancia.outcome"], "settled-before");
    });

    it("stands on a dead letter, whose process span tells that it is dead", async () => {
      const trace = "b".repeat(31).concat("1");
      const traceparent = `00-${trace}-${CALLER}-00`;
      const [messageId] = await publishByHand(environment, [
        { attributes: { traceparent }, data: Buffer.from("no write") },
      ]);
      // Not sampled, and sent all the same, because it is an error.
      await until("its span has come", () => findSpans(trace).length > 0);
      const [span] = findSpans(trace);
      assert.equal(span?.error, "dead");
      assert.equal(span?.attributes["messaging.message.id"], messageId);
      const [letter] = await query(
        environment.pool,
        "SELECT attributes FROM dead_letters WHERE message_id = ?",
        [messageId],
      );
      assert.equal(JSON.parse(String(letter?.attributes)).traceparent, traceparent);
      assert.match((processes[1] as Spawned).output(), new RegExp(`message is dead.*${trace}`));
    });

    it("is sent to the end when the processes stop, with the metrics", async () => {
      const { body } = await api.post("/api/data", { nombre: "last" });
      const { trace } = await api.settled(body.receipt);
      for (const process of processes) assert.equal(await process.end("SIGTERM"), 0);
      const names = findSpans(trace as string).map(({ name }) => name.split(" ")[0]);
      for (const name of ["POST", "send", "process", "settle", "COMMIT"])
        assert.ok(names.includes(name), `${name}: ${names}`);
      const find = (service: string, name: string) =>
        receiver.metrics.findLast(
          (metric) => metric.service === `constancia-${service}` && metric.name === name,
        );
      const accepted = find("api", "constancia_writes_accepted_total");
      assert.equal(accepted?.kind, "sum");
      assert.deepEqual(
        accepted.points.map((point) => {
          const { attributes, asDouble } = point as Record<string, unknown>;
          return { attributes, asDouble };
        }),
        [{ attributes: { collection: "data" }, asDouble: 303 }],
      );
      const lag = find("subscriber", "constancia_write_lag_seconds");
      assert.equal(lag?.kind, "histogram");
      const [point] = lag.points as [{ count: number; bucketCounts: number[]; sum: number }];
      assert.ok(point.count >= 303 && point.sum > 0);
      assert.equal(
        point.bucketCounts.reduce((sum, count) => sum + count, 0),
        point.count,
      );
      const requests = find("api", "all_requests")?.points as { attributes: object }[];
      assert.ok(
        requests.some(
          ({ attributes }) =>
            JSON.stringify(attributes) ===
            '{"method":"POST","route":"/api/:collection","status":"202"}',
        ),
      );
    });
  });

it("a collector that is away costs a line in the log, and no write", async () => {
  const environment = await createTestEnvironment();
  try {
    const nowhere = `http://127.0.0.1:${await findAnyPort()}`;
    const api = await environment.spawn("api", { OTEL_EXPORTER_OTLP_ENDPOINT: nowhere });
    const client = createClient(api.url);
    for (const nombre of ["a", "b"])
      assert.equal((await client.post("/api/data", { nombre })).status, 202);
    await until("it is told", () => api.output().includes("telemetry is not sent"));
    assert.equal((await client.post("/api/data", { nombre: "c" })).status, 202);
    assert.equal(await api.end("SIGTERM"), 0);
    assert.equal(api.output().split("telemetry is not sent").length, 2);
  } finally {
    await environment.close();
  }
});
