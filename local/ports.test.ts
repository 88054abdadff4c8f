import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { findAnyPort, PortFinder } from "./ports.ts";

for (const host of [undefined, "127.0.0.1"]) {
  test(`a port taken on ${host ?? "all addresses"} is stepped over and named`, async () => {
    const taken = await findAnyPort();
    const server = createServer().listen(taken, host);
    await once(server, "listening");
    const said: string[] = [];
    const found = await new PortFinder((line) => said.push(line)).find(taken, "the API");
    server.close();
    assert.ok(found > taken);
    assert.deepEqual(said, [`port ${taken} is taken; using ${found} for the API`]);
  });
}

test("a port is not given twice", async () => {
  const ports = new PortFinder(() => {});
  const wanted = await findAnyPort();
  const first = await ports.find(wanted, "one");
  const second = await ports.find(wanted, "another");
  assert.notEqual(first, second);
});

test("a port that is kept for what asks for it is given to nothing else", async () => {
  const kept = await findAnyPort();
  const ports = new PortFinder(() => {}, [kept]);
  assert.ok((await ports.find(kept - 1, "another")) !== kept);
  assert.ok((await ports.find(kept - 1, "another")) !== kept);
  assert.equal(await ports.find(kept, "the API"), kept);
});
