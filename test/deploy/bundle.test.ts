import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { bundle } from "../../deploy/bundle.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createClient } from "../support/http.ts";

describe("the bundle that App Engine runs", () => {
  let environment: TestEnvironment;
  /** Far from node_modules, and from the sources. */
  let folder: string;
  const temporary = () => readdir(join(folder, "tmp"), { recursive: true });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "bundle-test-"));
    await mkdir(join(folder, "tmp"));
    [environment] = await Promise.all([createTestEnvironment(), bundle(join(folder, "dist"))]);
  });
  after(async () => {
    await environment.close();
    await rm(folder, { recursive: true });
  });

  /** Starts one by the very entrypoint of its yaml file, as if the folder were its own. */
  async function start(name: "api" | "subscriber", file: string, env: Record<string, string>) {
    const { entrypoint } = parse(await readFile(new URL(`../../${file}`, import.meta.url), "utf8"));
    const [program, ...args] = entrypoint
      .replaceAll(/(\.\/)?dist\//g, `${folder}/dist/`)
      .split(" ");
    assert.equal(program, "node");
    return environment.spawn(name, { TMPDIR: join(folder, "tmp"), ...env }, args);
  }

  it("accepts and settles a write, and answers its receipt and the page, without node_modules", async () => {
    const [{ url }, subscriber] = await Promise.all([
      start("api", "app.yaml", {}),
      start("subscriber", "subscriber.yaml", {}),
    ]);
    const api = createClient(url);
    const written = await api.post("/api/data", { nombre: "Bundled" }, { prefer: "wait=30" });
    assert.equal(written.status, 201, written.text + subscriber.output());
    const { id } = written.body;
    const version = written.headers.get("etag")?.replaceAll('"', "");
    const receipt = await api.get(`/api/data/${id}/writes/${version}`);
    assert.equal(receipt.body.outcome, "applied");
    const page = await api.get("/", { accept: "text/html" });
    const unbundled = createClient((await environment.startApi()).url);
    assert.equal(page.text, (await unbundled.get("/", { accept: "text/html" })).text);
    assert.equal((await api.get("/openapi.json")).status, 200);
  });

  it("starts on what V8 compiled when it was built, and writes nowhere but in /tmp", async () => {
    const built = await readdir(join(folder, "dist"), { recursive: true });
    const debug = { NODE_DEBUG_NATIVE: "COMPILE_CACHE", PORT: "0" };
    for (const [name, file] of [
      ["api", "app.yaml"],
      ["subscriber", "subscriber.yaml"],
    ] as const) {
      const one = await start(name, file, debug);
      assert.equal(await one.end(), 0, one.output());
      assert.match(one.output(), new RegExp(`cache for .*/dist/${name}\\.js was accepted`));
      assert.ok(one.output().includes(`reading cache from ${folder}/tmp/`));
    }
    assert.deepEqual(await readdir(join(folder, "dist"), { recursive: true }), built);
    assert.ok((await temporary()).length > 0);
  });

  it("starts as well without it", async () => {
    await rm(join(folder, "dist", "compile-cache"), { recursive: true });
    const one = await start("api", "app.yaml", { PORT: "0" });
    assert.equal(await one.end(), 0, one.output());
  });
});
