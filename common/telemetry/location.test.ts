import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { findRegion } from "./location.ts";
import { createLogger } from "./logger.ts";

const REGION = "/computeMetadata/v1/instance/region";
const ZONE = "/computeMetadata/v1/instance/zone";

/** What the metadata server answers, the region that is found, and the zone of the log line. */
const cases: [says: string, answers: Record<string, string>, found?: string, logged?: string][] = [
  [
    "the region",
    { [REGION]: "projects/1/regions/southamerica-east1", [ZONE]: "projects/1/zones/us-east1-b" },
    "southamerica-east1",
  ],
  [
    "the zone's region where no region is told",
    { [ZONE]: "projects/1/zones/southamerica-east1-b" },
    "southamerica-east1",
  ],
  [
    "none for a zone of no region, and a log line",
    { [ZONE]: "projects/1/zones/us14" },
    undefined,
    "us14",
  ],
  ["none where nothing is told, and a log line", {}, undefined, ""],
];
for (const [says, answers, found, logged] of cases)
  it(`finds ${says}`, async (t) => {
    const server = createServer(({ url, headers }, response) => {
      assert.equal(headers["metadata-flavor"], "Google");
      const answer = answers[url ?? ""];
      response.setHeader("Metadata-Flavor", "Google");
      response.statusCode = answer === undefined ? 404 : 200;
      response.end(answer ?? "not found");
    }).listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    process.env.GCE_METADATA_HOST = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.after(() => delete process.env.GCE_METADATA_HOST);
    const logger = await createLogger({
      service: "test",
      projectId: "test",
      format: "pretty",
      level: "error",
    });
    const error = t.mock.method(logger, "error", () => logger);
    assert.equal(await findRegion(logger), found);
    const lines = error.mock.calls.map((call): unknown[] => [...call.arguments]);
    const wanted = "no location was found; Google Cloud takes no metrics without one";
    assert.deepEqual(lines, logged === undefined ? [] : [[wanted, { zone: logged }]]);
  });
