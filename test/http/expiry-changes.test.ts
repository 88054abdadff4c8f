import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { sleepers } from "../collections/seats.ts";
import { startApi } from "../support/api.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };
const ITEM = { passenger: "Gabriela" };

type Change = { position: number; id: string; version: string; item: { id: string } | null };

describe("the changes of a collection whose items expire", () => {
  const { environment, api } = startApi({ collections: [data, sleepers], subscriber: true });
  const readChanges = async () =>
    (await api.get("/api/changes/sleepers")).body.data as unknown as Change[];
  const listIds = async () => (await api.get("/api/sleepers")).body.data.map(({ id }) => id);

  it("show an expired item as it stands, and its end when it is swept", async () => {
    for (const id of ["a", "b"])
      assert.equal((await api.put(`/api/sleepers/${id}`, ITEM, WAIT)).status, 201);
    const before = await readChanges();
    const sql = "UPDATE sleepers SET held_until = held_until - INTERVAL 10 MINUTE WHERE id = 'a'";
    await query(environment.pool, sql);
    assert.deepEqual(await listIds(), ["b"]);
    const expired = await readChanges();
    const getPlaces = (changes: Change[]) =>
      changes.map(({ position, version }) => [position, version]);
    assert.deepEqual(getPlaces(expired), getPlaces(before));
    assert.equal(expired[0]?.item?.id, "a");
    assert.equal((await api.get("/_ah/sweep", { "x-appengine-cron": "true" })).status, 204);
    await until("its end is a change", async () => (await readChanges())[1]?.id === "a");
    const [b, a] = await readChanges();
    assert.deepEqual([b?.id, a?.item], ["b", null]);
    assert.ok(Number(a?.position) > Number(b?.position));
  });

  it("put an item that is taken again at the end of the list", async () => {
    const taken = await api.put("/api/sleepers/a", ITEM, { ...WAIT, "if-none-match": "*" });
    assert.equal(taken.status, 201);
    assert.deepEqual(await listIds(), ["b", "a"]);
  });
});
