import assert from "node:assert/strict";
import test from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { createTestEnvironment } from "../../test/support/environment.ts";
import { createClient } from "../../test/support/http.ts";
import { until } from "../../test/support/until.ts";
import { SIZES } from "./figures.ts";

const WRITES = 10_000;
const JSON_LOGS = { LOG_FORMAT: "json", LOG_LEVEL: "info" };

/** Within half, because a table grows in whole extents and its pages fill by chance. */
function assertClose(name: keyof typeof SIZES, measured: number): void {
  const ratio = measured / SIZES[name];
  assert.ok(ratio > 0.5 && ratio < 1.5, `${name}: ${measured}, not ${SIZES[name]}`);
}

test("the sizes of a write in figures.ts are those of the real processes", async (t) => {
  const environment = await createTestEnvironment();
  t.after(() => environment.close());
  const [api, subscriber] = await Promise.all([
    environment.spawn("api", JSON_LOGS),
    environment.spawn("subscriber", JSON_LOGS),
  ]);
  const client = createClient(api.url);

  const id = mintWriteId();
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const acceptedAt = getWriteTime(id);
  const write = { id, kind: "create" as const, collection: data, itemId: id, acceptedAt };
  const message = encodeWrite({ ...write, item: data.example, traceparent });
  assertClose("attributes", Object.entries(message.attributes).flat().join("").length);

  const before = api.output().length + subscriber.output().length;
  for (let number = 0; number < 50; number += 1)
    await client.post("/api/data", data.example, { prefer: "wait=20" });
  assertClose("logLines", (api.output().length + subscriber.output().length - before) / 50);

  await client.post(
    "/api/data",
    Array.from({ length: WRITES }, () => data.example),
  );
  const count = "SELECT COUNT(*) AS rows_ FROM data";
  await until("all are settled", async () => {
    const [row] = await query(environment.pool, count);
    return Number(row?.rows_) >= WRITES;
  });
  await query(environment.pool, "ANALYZE TABLE data");
  const [size] = await query(
    environment.pool,
    "SELECT data_length + index_length AS bytes_ FROM information_schema.tables" +
      " WHERE table_schema = DATABASE() AND table_name = 'data'",
  );
  const itemBytes = JSON.stringify(data.example).length;
  assertClose("row", Number(size?.bytes_) / WRITES - itemBytes);
});
