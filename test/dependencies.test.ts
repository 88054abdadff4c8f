import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { audit } from "../hostile/audit.ts";
import {
  FOLDERS,
  judgeLicences,
  judgeScripts,
  type Locked,
  readLocked,
} from "../hostile/lockfiles.ts";

for (const folder of FOLDERS) {
  test(`the licences of ${folder}/package-lock.json are all allowed`, () => {
    const packages = readLocked(folder);
    assert.ok(packages.length > 50);
    assert.deepEqual(judgeLicences(packages), []);
  });

  test(`the install scripts of ${folder}/package-lock.json are all known`, () => {
    assert.deepEqual(judgeScripts(folder, readLocked(folder)), []);
  });
}

const sound: Locked = {
  ...{ folder: ".", name: "one", version: "1.0.0", licence: "MIT" },
  ...{ isTool: false, hasInstallScript: false },
};

test("a licence that is not on the list fails, and one for tools fails in what runs", () => {
  const judge = (licence: string, isTool = false) =>
    judgeLicences([{ ...sound, licence, isTool }]).length;
  for (const licence of ["MIT", "(MIT OR GPL-3.0)", "MPL-2.0 OR ISC"])
    assert.equal(judge(licence), 0, licence);
  for (const licence of ["none", "GPL-3.0", "MIT AND GPL-3.0", "MPL-2.0", "UNLICENSED"])
    assert.equal(judge(licence), 1, licence);
  assert.equal(judge("MPL-2.0", true), 0);
  assert.equal(judge("AGPL-3.0-only", true), 1);
});

test("an install script that is new, or gone, fails", () => {
  const packages = readLocked(".");
  assert.match(
    String(judgeScripts(".", [...packages, { ...sound, hasInstallScript: true }])),
    /one of \. has an install script that nobody knows/,
  );
  const without = packages.filter(({ name }) => name !== "esbuild");
  assert.match(String(judgeScripts(".", without)), /esbuild of \. has no install script any more/);
});

test("the audit tells of advisories, and of an endpoint that cannot be reached", async () => {
  const locked = new Map(readLocked("iac").map(({ name, version }) => [name, version]));
  // To tell what would mend it, npm asks for the packages too.
  const documentOf = (path = "") => {
    const name = decodeURIComponent(path.slice(1));
    const version = locked.get(name) ?? "0.0.0";
    return { name, "dist-tags": { latest: version }, versions: { [version]: { name, version } } };
  };
  let answer = { status: 405, body: {} };
  const server = createServer(async (request, response) => {
    for await (const _ of request);
    const { status, body } =
      request.method === "GET" ? { status: 200, body: documentOf(request.url) } : answer;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const registry = `http://127.0.0.1:${(server.address() as { port: number }).port}/`;
  try {
    const refused = await audit("iac", registry);
    assert.match("unreachable" in refused ? refused.unreachable : "", /405/);
    const advisory = {
      ...{ id: 1, url: "https://example.com/1", title: "bad", severity: "high" },
      ...{ vulnerable_versions: "<99", cwe: [], cvss: { score: 9, vectorString: null } },
    };
    answer = { status: 200, body: { constructs: [advisory] } };
    const bad = await audit("iac", registry);
    assert.match("advisories" in bad ? String(bad.advisories) : "", /constructs .* of iac: high/);
    answer = { status: 200, body: {} };
    assert.deepEqual(await audit("iac", registry), { advisories: [] });
  } finally {
    server.close();
  }
});
