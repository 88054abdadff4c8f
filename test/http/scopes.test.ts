import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { teachers } from "../collections/teachers.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Answer, assertProblem, type Client, createClient } from "../support/http.ts";

const MIGRATIONS = [new URL("../migrations/", import.meta.url)];
const SCOPES = {
  reader: "data:read",
  writer: "data:write",
  any: "data:write-any",
  all: "*:read *:write",
  foreign: "teachers:read teachers:write",
  operator: "operate",
};
type Holder = keyof typeof SCOPES;
const HOLDERS = Object.keys(SCOPES) as Holder[];
const ITEM = { nombre: "x" };
const show = (holder: Holder) => ({ authorization: `Bearer constancia_${holder}` });
const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");

describe("scopes by collection, where everything needs a key", () => {
  let environment: TestEnvironment;
  let api: Client;

  before(async () => {
    environment = await createTestEnvironment({ migrations: MIGRATIONS });
    const lines = HOLDERS.map((one) => `${one} ${sha256(`constancia_${one}`)} ${SCOPES[one]}`);
    const env = { API_KEYS: lines.join("\n"), ACCESS: "keys", METRICS: "on" };
    api = createClient((await environment.startApi({ env, collections: [data, teachers] })).url);
    await environment.startSubscriber({ collections: [data, teachers] });
  });
  after(() => environment.close());

  /** Who may send a request, each with a scope that the others' 403 names. */
  async function assertPermits(
    send: (headers: Record<string, string>) => Promise<Answer>,
    permitted: readonly Holder[],
    scope: string,
  ) {
    for (const holder of HOLDERS) {
      const answer = await send(show(holder));
      if (permitted.includes(holder)) assert.ok(answer.status < 300, `${holder}: ${answer.text}`);
      else {
        assertProblem(answer, 403, "wrong-scope");
        assert.ok(answer.headers.get("www-authenticate")?.endsWith(` scope="${scope}"`), holder);
      }
    }
  }

  it("permit what they name, of the collection that they name", async () => {
    const readers: Holder[] = ["reader", "all"];
    const writers: Holder[] = ["writer", "any", "all"];
    const wait = { prefer: "wait=20" };
    await api.put("/api/data/x", ITEM, { ...show("all"), ...wait });
    await assertPermits((headers) => api.get("/api/data", headers), readers, "data:read");
    await assertPermits((headers) => api.get("/api/data/x", headers), readers, "data:read");
    await assertPermits((headers) => api.get("/", headers), readers, "data:read");
    await assertPermits((headers) => api.post("/api/data", ITEM, headers), writers, "data:write");
    await assertPermits((headers) => api.put("/api/data/y", ITEM, headers), writers, "data:write");
    await assertPermits((headers) => api.delete("/api/data/y", headers), writers, "data:write");
    await assertPermits((headers) => api.get("/metrics", headers), ["operator"], "operate");
    const { body } = await api.put("/api/data/z", ITEM, show("writer"));
    await assertPermits(
      (headers) => api.get(body.receipt, headers),
      [...readers, "writer", "any"],
      "data:read",
    );
  });

  it("say 404 of an unknown collection, as the OpenAPI document does to anyone", async () => {
    for (const holder of HOLDERS)
      assertProblem(await api.get("/api/unknown", show(holder)), 404, "not-found");
  });

  it("for writing show what one has written, and nothing that others have", async () => {
    const wait = { prefer: "wait=20" };
    const key = { "idempotency-key": "once", ...wait };
    const created = await api.post("/api/data", { nombre: "mine" }, { ...show("writer"), ...key });
    assert.equal(created.status, 201);
    assert.equal(created.body.nombre, "mine");
    const path = `/api/data/${created.body.id}`;
    const others = await api.put(path, { nombre: "theirs" }, { ...show("all"), ...wait });
    assert.equal(others.status, 200);
    const retry = await api.post("/api/data", { nombre: "mine" }, { ...show("writer"), ...key });
    assert.equal(retry.status, 204, "the retry would show the item as it is now");
    assert.equal(retry.text, "");
    assert.equal(retry.headers.get("location"), path);
    // Who may read too is shown it.
    const mine = await api.post("/api/data", { nombre: "mine" }, { ...show("all"), ...key });
    await api.put(`/api/data/${mine.body.id}`, { nombre: "changed" }, { ...show("all"), ...wait });
    const shown = await api.post("/api/data", { nombre: "mine" }, { ...show("all"), ...key });
    assert.deepEqual([shown.status, shown.body.nombre], [200, "changed"]);
  });
});
