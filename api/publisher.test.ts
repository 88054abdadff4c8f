import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { collections } from "../collections/collections.ts";
import { createLogger } from "../common/telemetry/logger.ts";
import { createMetrics } from "../common/telemetry/metrics.ts";
import type { Write } from "../common/write.ts";
import { getWriteTime, mintWriteId } from "../common/write-id.ts";
import { Problem } from "./answer/problem.ts";
import { PUBLISH_PATH } from "./publish-request.ts";
import { createPublisher } from "./publisher.ts";

/** A PublishResponse with this id; none of these, in the protocol's own bytes. */
const getIds = (...ids: string[]) =>
  Buffer.from(ids.map((id) => `\n${String.fromCharCode(id.length)}${id}`).join(""));

const server = new Server();
let answer = getIds();

before(async () => {
  const asIs = (bytes: Buffer) => bytes;
  server.addService(
    {
      publish: {
        path: PUBLISH_PATH,
        ...{ requestStream: false, responseStream: false },
        ...{ requestSerialize: asIs, requestDeserialize: asIs },
        ...{ responseSerialize: asIs, responseDeserialize: asIs },
      },
    },
    { publish: (_call: unknown, done: sendUnaryData<Buffer>) => done(null, answer) },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  process.env.PUBSUB_EMULATOR_HOST = `127.0.0.1:${port}`;
});
after(() => {
  delete process.env.PUBSUB_EMULATOR_HOST;
  server.forceShutdown();
});

test("a write is accepted by the id of its message, and not by an answer without one", async () => {
  const accepted: string[] = [];
  const publisher = createPublisher({
    ...{ projectId: "test", topic: "writes", tracing: undefined },
    logger: await createLogger({
      service: "api",
      projectId: "test",
      format: "json",
      level: "emerg",
    }),
    metrics: createMetrics(),
    onAccepted: (writes) => accepted.push(...writes.map(({ id }) => id)),
  });
  const [collection] = collections;
  assert.ok(collection);
  const create = (): Write => {
    const id = mintWriteId();
    const acceptedAt = getWriteTime(id);
    return { id, kind: "create", collection, itemId: id, acceptedAt, item: { nombre: "Valpo" } };
  };
  const write = create();
  answer = getIds("17");
  await publisher.publish(write, "request");
  for (const wrong of [getIds(), getIds("18", "19")]) {
    answer = wrong;
    await assert.rejects(publisher.publish(create(), "request"), (problem) => {
      assert.ok(problem instanceof Problem);
      assert.equal(problem.status, 503);
      return true;
    });
  }
  assert.deepEqual(accepted, [write.id]);
  await publisher.stop();
});
