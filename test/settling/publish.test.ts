import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { Problem } from "../../api/answer/problem.ts";
import { createPublisher, type Publisher } from "../../api/publisher.ts";
import { createTopicClient, NotPublishedError, type TopicClient } from "../../api/topic-client.ts";
import { collections } from "../../collections/collections.ts";
import { createGeneratedClient } from "../../common/pubsub.ts";
import { createMetrics } from "../../common/telemetry/metrics.ts";
import type { Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { TcpProxy } from "../../proof/support/tcp-proxy.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertProblem, createClient } from "../support/http.ts";
import { createTestLogger } from "../support/logger.ts";
import { ScriptedServer } from "../support/pubsub/scripted-server.ts";

const logger = await createTestLogger("emerg");
const UNAVAILABLE = { code: 14, details: "away" };
const message = (attributes: Record<string, string> = {}) => ({
  data: Buffer.from("{}"),
  attributes,
});
const hang = () => new Promise(() => {});

let server: ScriptedServer;
beforeEach(async () => {
  server = await ScriptedServer.start();
});
afterEach(() => server.stop());

describe("publishing a write", () => {
  let publisher: Publisher;
  let accepted: string[];
  beforeEach(() => {
    accepted = [];
    publisher = createPublisher({
      projectId: "p",
      emulatorHost: server.host,
      topic: "writes",
      logger,
      metrics: createMetrics(),
      onAccepted: (writes) => accepted.push(...writes.map(({ id }) => id)),
    });
  });
  afterEach(() => publisher.stop());

  const createWrite = (): Write => {
    const [collection] = collections;
    assert.ok(collection);
    const id = mintWriteId();
    const acceptedAt = getWriteTime(id);
    return { id, kind: "create", collection, itemId: id, acceptedAt, item: { nombre: "Valpo" } };
  };

  it("accepts by the message's id, and not where there are too few, too many or empty ones", async () => {
    const write = createWrite();
    await publisher.publish(write, "request");
    for (const messageIds of [[], ["18", "19"], [""], ["", "19"], ["18", ""]]) {
      server.onPublish = () => ({ messageIds });
      await assert.rejects(publisher.publish(createWrite(), "request"), (problem) => {
        assert.ok(problem instanceof Problem);
        assert.equal(problem.status, 503);
        return true;
      });
    }
    assert.deepEqual(accepted, [write.id]);
  });
});

describe("a write over HTTP that is not published", () => {
  const RECORDS = Array.from({ length: 20 }, () => ({ nombre: "Valpo" }));
  let environment: TestEnvironment;
  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  /** Posts many records, and returns the details and the lines of the log about it. */
  async function post(env: Record<string, string>) {
    const api = await environment.spawn("api", env);
    const answer = await createClient(api.url).post("/api/data", RECORDS);
    assertProblem(answer, 503, "unavailable");
    const closed = once(api.child, "close");
    await api.end();
    await closed;
    const lines = api.output().split("\n");
    return {
      details: new Set(answer.body.results.map(({ detail }) => detail)),
      lines: lines.filter((line) => line.includes("publishing failed")),
    };
  }

  for (const code of [3, 5, 7, 16])
    it(`is not accepted where Pub/Sub refuses it by code ${code}`, async () => {
      server.onPublish = () => {
        throw { code, details: "lasting" };
      };
      const { details, lines } = await post({ PUBSUB_EMULATOR_HOST: server.host });
      assert.deepEqual([...details], ["The write could not be published and was not accepted."]);
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", /the writes were not accepted.*count=20/);
    });

  it("is not accepted where there are no credentials", async () => {
    const { details, lines } = await post({
      ACCESS: "public",
      PUBSUB_EMULATOR_HOST: "",
      GOOGLE_APPLICATION_CREDENTIALS: "/nowhere/credentials.json",
    });
    assert.deepEqual([...details], ["The write could not be published and was not accepted."]);
    assert.equal(lines.length, 1);
  });

  it("may have been accepted where a refusal follows an attempt without an answer", async () => {
    server.onPublish = () => {
      server.onPublish = () => {
        throw { code: 7, details: "lasting" };
      };
      throw UNAVAILABLE;
    };
    const { details, lines } = await post({ PUBSUB_EMULATOR_HOST: server.host });
    assert.match([...details].join(), /^Pub\/Sub did not answer in time, so it is not known/);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /it is not known whether the writes were accepted.*count=20/);
  });
});

describe("a topic's client", () => {
  let client: TopicClient | undefined;
  afterEach(() => client?.close());

  const connect = (deadlineMs?: number) => {
    const target = { projectId: "p", emulatorHost: server.host, topic: "writes", logger };
    client = createTopicClient(deadlineMs === undefined ? target : { ...target, deadlineMs });
    return client;
  };

  it("sends attributes as they are, placeholders of the library among them", async () => {
    const attributes = { "ce-subject": "{{projectId}}", "{{projectId}}": "x", empty: "" };
    assert.deepEqual(await connect().publish([message(attributes)]), ["0"]);
    assert.deepEqual(server.published[0]?.messages[0]?.attributes, attributes);
  });

  for (const code of [1, 2, 4, 8, 10, 13, 14])
    it(`publishes again after code ${code}`, async () => {
      server.onPublish = () => {
        server.onPublish = () => ({ messageIds: ["7"] });
        throw { code, details: "passing" };
      };
      assert.deepEqual(await connect().publish([message()]), ["7"]);
      assert.equal(server.published.length, 2);
    });

  for (const code of [3, 5, 7, 9, 16])
    it(`gives up at once after code ${code}`, async () => {
      server.onPublish = () => {
        throw { code, details: "lasting" };
      };
      await assert.rejects(connect().publish([message()]), { code });
      assert.equal(server.published.length, 1);
    });

  it("gives up at its deadline where no answer comes, after a second attempt", async () => {
    server.onPublish = hang;
    const publisher = connect(2_000);
    await publisher.warmUp();
    await assert.rejects(publisher.publish([message()]), { code: 4 });
    assert.equal(server.published.length, 2);
    // Each attempt tells the server its deadline: half of the whole one, then what is left of it.
    const timeouts = server.published.map(({ timeoutMs }) => timeoutMs);
    for (const timeoutMs of timeouts) assert.ok(timeoutMs <= 1_000, `${timeouts}`);
  });

  it("gives up at once where no time is left", async () => {
    server.onPublish = hang;
    await assert.rejects(connect(0).publish([message()]), { code: 4 });
  });

  it("gives up at its deadline where the server is away", async () => {
    server.onPublish = () => {
      throw UNAVAILABLE;
    };
    // 4 where the last attempt has too little time left for an answer.
    await assert.rejects(
      connect(500).publish([message()]),
      ({ code }) => code === 14 || code === 4,
    );
    assert.ok(server.published.length > 1);
  });

  it("connects again after two attempts in a row without an answer, and not before", async (context) => {
    const proxy = await TcpProxy.open([server.port]);
    context.after(() => proxy.close());
    const target = { projectId: "p", emulatorHost: proxy.host, topic: "writes", logger };
    client = createTopicClient({ ...target, deadlineMs: 2_000 });
    assert.deepEqual(await client.publish([message()]), ["0"]);
    assert.equal(proxy.opened, 1);
    proxy.silence();
    await assert.rejects(client.publish([message()]), { code: 4 });
    // The keepalive of the silent connection would come after 20 s.
    assert.deepEqual(await client.publish([message()]), ["0"]);
    assert.equal(proxy.opened, 2);
    server.onPublish = () => {
      server.onPublish = (messages) => ({ messageIds: messages.map(() => "7") });
      return hang();
    };
    assert.deepEqual(await client.publish([message()]), ["7"]);
    assert.equal(proxy.opened, 2);
  });

  it("answers the writes that wait when their connection falls silent, without a 503", async (context) => {
    const proxy = await TcpProxy.open([server.port]);
    context.after(() => proxy.close());
    const target = { projectId: "p", emulatorHost: proxy.host, topic: "writes", logger };
    const own = createTopicClient({ ...target, deadlineMs: 6_000 });
    client = own;
    await own.publish([message()]);
    proxy.silence();
    // Two attempts at once end by their deadlines; each is repeated on the new connection.
    await Promise.all([own.publish([message()]), own.publish([message()])]);
    assert.equal(proxy.opened, 2);
  });

  it("gives up at its deadline where the client does not come", async () => {
    const away = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
    await once(away, "listening");
    const before = { ...process.env };
    const { port } = away.address() as AddressInfo;
    delete process.env.METADATA_SERVER_DETECTION;
    process.env.GCE_METADATA_HOST = `127.0.0.1:${port}`;
    try {
      const target = { projectId: "p", emulatorHost: "", topic: "writes", logger };
      client = createTopicClient({ ...target, deadlineMs: 500 });
      await assert.rejects(client.publish([message()]), NotPublishedError);
    } finally {
      process.env = before;
      away.close();
    }
  });

  it("is connected once it is warm", async () => {
    const publisher = connect();
    await publisher.warmUp();
    assert.deepEqual(await publisher.publish([message()]), ["0"]);
  });
});

it("without credentials no client is made, and a later one finds those that have come", async () => {
  const folder = await mkdtemp(join(tmpdir(), "constancia-"));
  const file = join(folder, "credentials.json");
  const before = { ...process.env };
  process.env.GOOGLE_APPLICATION_CREDENTIALS = file;
  delete process.env.PUBSUB_EMULATOR_HOST;
  try {
    const target = { projectId: "p", emulatorHost: "" };
    for (const name of ["PublisherClient", "SubscriberClient"] as const)
      await assert.rejects(createGeneratedClient(name, target), /credentials\.json/);
    const user = { client_id: "a", client_secret: "b", refresh_token: "c" };
    await writeFile(file, JSON.stringify({ type: "authorized_user", ...user }));
    await (await createGeneratedClient("PublisherClient", target)).close();
  } finally {
    process.env = before;
    await rm(folder, { recursive: true });
  }
});
