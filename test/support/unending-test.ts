import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { findAnyPort } from "../../local/ports.ts";

/** A test that starts a server and a process, says which, and does not end; for local/test.test.ts. */
test("does not end", async () => {
  const { pid } = await startLocalPubsub({
    port: await findAnyPort(),
    logFile: "/dev/null",
    say: () => {},
  });
  const child = spawn(process.execPath, ["--eval", "setInterval(() => {}, 1_000)"]);
  writeFileSync(process.env.PIDS_FILE as string, `${process.pid} ${pid} ${child.pid} `);
  await new Promise(() => {});
});
