import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, describe, it } from "node:test";
import { findOfficialEmulator, startEmulator } from "../../local/official-emulator.ts";
import { findAnyPort } from "../../local/ports.ts";
import { startPubsub } from "../../local/pubsub/server.ts";
import { Bench } from "../../test/support/pubsub/bench.ts";
import { deliveryCases } from "../../test/support/pubsub/delivery.ts";
import { limitCases } from "../../test/support/pubsub/limits.ts";
import { pushCases } from "../../test/support/pubsub/push.ts";
import { resourceCases } from "../../test/support/pubsub/resources.ts";
import { seekCases } from "../../test/support/pubsub/seek.ts";
import { streamingPullCases } from "../../test/support/pubsub/streaming-pull.ts";

/** Most of a case is waiting. */
const CONCURRENCY = 8;
const cases = [
  ...resourceCases,
  ...limitCases,
  ...deliveryCases,
  ...streamingPullCases,
  ...seekCases,
  ...pushCases,
];

describe("the local Pub/Sub", { concurrency: CONCURRENCY }, () => {
  let bench: Bench;
  let stop: () => Promise<void>;

  before(async () => {
    const pubsub = await startPubsub({ port: 0 });
    stop = pubsub.stop;
    bench = await Bench.connect(pubsub.host, `${pubsub.controlUrl}/certs`);
  });
  after(async () => {
    await bench.close();
    await stop();
  });

  for (const { title, run } of cases) it(title, () => run(bench));
});

/** One that runs already, or else one of this machine's own. */
const given = process.env.TEST_PUBSUB === "emulator" ? process.env.PUBSUB_EMULATOR_HOST : undefined;
const skip = !given && !findOfficialEmulator() && "Google's emulator is not installed";

describe("the official emulator", { concurrency: CONCURRENCY, skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "constancia-emulator-"));
  let bench: Bench;
  let stop = async () => {};

  before(async () => {
    if (given) bench = await Bench.connect(given);
    else {
      const logFile = join(folder, "log");
      const emulator = await startEmulator({ port: await findAnyPort(), logFile, say: () => {} });
      stop = emulator.stop;
      bench = await Bench.connect(emulator.host);
    }
  });
  after(async () => {
    await bench.close();
    await stop();
    rmSync(folder, { recursive: true });
  });

  for (const { title, run, gap } of cases)
    if (gap) it(`${title}; a gap: it ${gap}`, () => assert.rejects(run(bench)));
    else it(title, () => run(bench));
});

test("the document has the table of the emulator's gaps as they are", () => {
  const document = readFileSync(new URL("../../docs/pubsub.md", import.meta.url), "utf8");
  const [, table] = /<!-- gaps -->\n\n(.*?)\n\n<!-- \/gaps -->/s.exec(document) ?? [];
  const rows = cases.filter(({ gap }) => gap).map(({ title, gap }) => `| ${title} | ${gap} |`);
  const head = ["| production documents | the emulator |", "|---|---|"];
  assert.equal(table, [...head, ...rows].join("\n"));
});
