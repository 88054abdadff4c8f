import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { it } from "node:test";
import { listen } from "./http-server.ts";

it("a server that stops waits for answers, not for those who ask for nothing", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const server = await listen(
    async (_request, response) => {
      asked.resolve();
      await answer.promise;
      response.end("answered");
    },
    { port: 0, host: "127.0.0.1" },
  );
  const silent = connect(server.port, "127.0.0.1");
  const stuck = connect(server.port, "127.0.0.1");
  stuck.write("GET / HTTP/1.1\r\nHost:");
  await Promise.all([once(silent, "connect"), once(stuck, "connect")]);
  for (const socket of [silent, stuck]) socket.on("error", () => {});
  const answered = fetch(`http://127.0.0.1:${server.port}/`).then((response) => response.text());
  await asked.promise;
  const closed = server.close();
  answer.resolve();
  assert.equal(await answered, "answered");
  await closed;
});
