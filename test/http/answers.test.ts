import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Answer, type Client, createClient } from "../support/http.ts";

const WAIT = { prefer: "wait=20" };
const RUNS = 12;

/** A request of a random history: which item it is about, or by which key its item is created. */
type Action = { kind: "create" | "put" | "delete" | "many"; item: number };

/** A write that was answered, with what its receipt says afterwards. */
type Told = {
  kind: "create" | "put" | "delete";
  itemId: string;
  nombre: string;
  write: string;
  outcome: string | null;
  created: boolean | null;
  status: number;
  /** Undefined for a record of many, whose result has no item. */
  answer: Answer | undefined;
};

describe("answers to writes that are sent at once", () => {
  let environment: TestEnvironment;
  let api: Client;
  let runs = 0;

  before(async () => {
    environment = await createTestEnvironment();
    api = createClient((await environment.startApi()).url);
    await environment.startSubscriber();
  });
  after(() => environment.close());

  it("say of each write what the history of its item says", async () => {
    const kind = fc.constantFrom<Action["kind"]>("create", "put", "put", "delete", "many");
    const bursts = fc.array(
      fc.array(fc.record({ kind, item: fc.nat(1) }), { minLength: 1, maxLength: 8, size: "max" }),
      { minLength: 1, maxLength: 5, size: "max" },
    );
    await fc.assert(fc.asyncProperty(bursts, run), { numRuns: RUNS, endOnFailure: true });
  });

  /** Sends each burst at once, the next when all are answered; checks every answer. */
  async function run(bursts: Action[][]): Promise<void> {
    runs += 1;
    const told: Told[] = [];
    for (const burst of bursts) {
      const sent = burst.map((action, place) => send(action, `run-${runs}-${told.length + place}`));
      told.push(...(await Promise.all(sent)).flat());
    }
    for (const own of Map.groupBy(told, ({ itemId }) => itemId).values()) {
      const applied = own
        .filter(({ outcome }) => outcome === "applied")
        .sort((a, b) => (a.write < b.write ? -1 : 1));
      for (const each of own) checkTold(each, applied);
    }
  }

  async function send({ kind, item }: Action, nombre: string): Promise<Told[]> {
    const id = `run-${runs}-item-${item}`;
    if (kind === "many") {
      const records = [0, 1, 2].map((place) => ({ id, nombre: `${nombre}-${place}` }));
      const { body } = await api.put("/api/data", records, WAIT);
      const results = body.results.map(async ({ status, receipt }, place) => {
        const named = { nombre: `${nombre}-${place}`, status: Number(status) };
        return {
          ...named,
          ...(await getReceipt(receipt)),
          kind: "put" as const,
          answer: undefined,
        };
      });
      return Promise.all(results);
    }
    const key = { ...WAIT, "idempotency-key": id };
    const answer =
      kind === "create"
        ? await api.post("/api/data", { nombre: id }, key)
        : kind === "put"
          ? await api.put(`/api/data/${id}`, { nombre }, WAIT)
          : await api.delete(`/api/data/${id}`, WAIT);
    const receipt = /^<([^>]+)>/.exec(answer.headers.get("link") ?? "")?.[1] as string;
    const { status } = answer;
    const told = { kind, nombre: kind === "create" ? id : nombre, status, answer };
    return [{ ...told, ...(await getReceipt(receipt)) }];
  }

  async function getReceipt(path: string) {
    const { outcome, created } = await api.settled(path);
    const [, itemId = "", write = ""] = /^\/api\/data\/([^/]+)\/writes\/(.+)$/.exec(path) ?? [];
    return { itemId, write, outcome, created };
  }
});

/** Checks an answer against the applied writes of its item, in the order of their ids. */
function checkTold(told: Told, applied: readonly Told[]): void {
  const { write, kind, outcome, status, answer } = told;
  const what = JSON.stringify({ told, applied: applied.map((one) => [one.write, one.kind]) });
  const before = applied.filter((one) => one.write < write).at(-1);
  const isNew =
    outcome === "applied" && kind !== "delete" && (before?.kind ?? "delete") === "delete";
  assert.equal(told.created, isNew, what);
  if (outcome === "applied") {
    assert.equal(status, kind === "delete" ? 204 : isNew ? 201 : 200, what);
    if (kind !== "delete" && answer) checkShown(answer, told);
    return;
  }
  if (outcome === "superseded")
    assert.ok(
      applied.some((one) => one.write > write),
      what,
    );
  else assert.deepEqual([outcome, kind], ["duplicate", "create"], what);
  if (status === 410)
    assert.ok(
      applied.some((one) => one.kind === "delete"),
      what,
    );
  else assert.equal(status, 200, what);
  if (status === 410 || !answer) return;
  const version = answer.headers.get("etag")?.replaceAll('"', "");
  const shown = applied.find((one) => one.write === version);
  assert.ok(shown, what);
  checkShown(answer, shown);
}

function checkShown({ headers, body }: Answer, { itemId, nombre, write }: Told): void {
  assert.deepEqual(body, { id: itemId, nombre });
  assert.equal(headers.get("etag"), `"${write}"`);
}
