import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, afterEach, before, describe, it } from "node:test";
import type { Locator, Page } from "playwright-core";
import { query } from "../../common/database.ts";
import { findBarriers, findMissingBrowser, openBrowser, overflow } from "../support/browser.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient } from "../support/http.ts";
import { until } from "../support/until.ts";

/** The page comes in one answer; a phone on a slow line waits for it about a second. */
const CONSOLE_BYTES = 60 * 1024;

const skip = await findMissingBrowser(console.log);

describe("the console page, in a browser", { skip }, () => {
  let environment: TestEnvironment;
  let api: Client;
  let browser: Awaited<ReturnType<typeof openBrowser>>;

  before(async () => {
    [environment, browser] = await Promise.all([createTestEnvironment(), openBrowser(console.log)]);
    await environment.startSubscriber();
    api = createClient((await environment.startApi({ env: { METRICS: "on" } })).url);
  });
  afterEach(() => browser.leave());
  after(async () => {
    await browser.close();
    await environment.close();
  });

  /** Stores an item as another client would. */
  async function store(id: string, nombre: string): Promise<void> {
    const { status } = await api.put(`/api/data/${id}`, { nombre }, { prefer: "wait=30" });
    assert.ok(status === 200 || status === 201, String(status));
  }

  it("is one small answer", async () => {
    const { text } = await api.get("/", { accept: "text/html" });
    assert.ok(Buffer.byteLength(text) < CONSOLE_BYTES, `${Buffer.byteLength(text)} bytes`);
    assert.doesNotMatch(text, /^(import|export) /m);
  });

  it("sends a tema and shows each step of its travel with its milliseconds", async () => {
    const { page, requests, assertClean } = await browser.visit(api.url);
    await send(page, "Valpo <b>");
    await travelled(page);
    const steps = await readSteps(page);
    assert.deepEqual(
      steps.map(([name]) => name),
      ["Accepted", "Published", "Settled", "Readable"],
    );
    for (const [name, ms = ""] of steps) assert.match(ms, /^[\d,]+ ms$/, name);
    assert.equal(steps[2]?.[2], "applied");
    const rows = page.locator("#rows > li");
    await rows.filter({ hasText: "Valpo <b>" }).first().waitFor();
    assert.match((await page.locator("#voice").textContent()) ?? "", /settled: applied after \d/);
    assert.match((await page.locator("#latest").textContent()) ?? "", /trace [0-9a-f]{32}/);
    const id = await rows.first().getAttribute("data-id");
    const stored = await api.get(`/api/data/${id}`);
    assert.equal(stored.body.nombre, "Valpo <b>");
    const version = stored.headers.get("etag")?.replaceAll('"', "");
    assert.ok(requests().includes(`GET /api/data/${id}?after=${version}`));
    assert.equal(await page.getByLabel("New tema").inputValue(), "");
    assertClean();
  });

  it("keeps what was refused in its field, and says why", async () => {
    const { page, assertClean } = await browser.visit(api.url);
    await send(page, "x".repeat(256));
    await page.locator("#write-note.bad").waitFor();
    assert.equal((await page.getByLabel("New tema").inputValue()).length, 256);
    assert.match((await page.locator("#write-note").textContent()) ?? "", /at most|255/);
    assertClean([422]);
  });

  it("shows the newest items, and older ones when asked", async () => {
    for (let count = 1; count <= 12; count += 1) await store(`newest-${count}`, `Number ${count}`);
    const { page, assertClean } = await browser.visit(api.url);
    const rows = page.locator("#rows > li");
    await rows.nth(9).waitFor();
    assert.equal(await rows.first().locator(".text").textContent(), "Number 12");
    assert.equal(await rows.count(), 10);
    await page.getByRole("button", { name: "Older" }).click();
    await rows.nth(11).waitFor();
    assert.equal(await rows.nth(11).locator(".text").textContent(), "Number 1");
    assertClean();
  });

  it("edits the version that it has shown, by its ETag", async () => {
    await store("edited", "Quilpué");
    const { page, requests, assertClean } = await browser.visit(api.url);
    const row = page.locator("[data-id=edited]");
    const put = page.waitForRequest((request) => request.method() === "PUT");
    await row.getByRole("button", { name: "Edit Quilpué" }).click();
    await row.getByLabel("Nombre").fill("Quilpué, ciudad del sol");
    await row.getByLabel("Nombre").press("Enter");
    const etag = (await put).headers()["if-match"];
    assert.match(etag ?? "", /^"[0-9a-f-]{36}"$/);
    await row.getByText("Applied after").waitFor();
    assert.equal((await api.get("/api/data/edited")).body.nombre, "Quilpué, ciudad del sol");
    assert.equal(requests().filter((each) => each.startsWith("PUT")).length, 1);
    assert.equal(await focusedName(page), "Edit Quilpué, ciudad del sol");
    assertClean();
  });

  it("explains a conflict with both versions, and stores yours only when told to", async () => {
    await store("raced", "Before");
    const { page, assertClean } = await browser.visit(api.url);
    const row = page.locator("[data-id=raced]");
    await row.getByRole("button", { name: "Edit Before" }).click();
    await row.getByLabel("Nombre").fill("Mine");
    await store("raced", "Theirs");
    await row.getByRole("button", { name: "Save" }).click();
    await row.getByText("Someone else changed this item after you opened it").waitFor();
    const sides = row.locator(".versions > div");
    assert.match((await sides.nth(0).textContent()) ?? "", /^Stored nowTheirsversion /);
    assert.match((await sides.nth(1).textContent()) ?? "", /^YoursMinemade from /);
    assert.equal((await api.get("/api/data/raced")).body.nombre, "Theirs");
    assert.deepEqual(await findBarriers(page), []);
    await row.getByRole("button", { name: "Overwrite with yours" }).click();
    await row.getByText("Applied after").waitFor();
    assert.equal((await api.get("/api/data/raced")).body.nombre, "Mine");
    assertClean([412]);
  });

  it("keeps what was typed for an item that somebody deleted meanwhile", async () => {
    await store("vanished", "Here");
    const { page, assertClean } = await browser.visit(api.url);
    const row = page.locator("[data-id=vanished]");
    await row.getByRole("button", { name: "Edit Here" }).click();
    await row.getByLabel("Nombre").fill("Typed with care");
    await api.delete("/api/data/vanished", { prefer: "wait=30" });
    await row.getByRole("button", { name: "Save" }).click();
    await row.getByText("Your text: Typed with care").waitFor();
    await row.getByRole("button", { name: "Write it as a new tema" }).click();
    assert.equal(await page.getByLabel("New tema").inputValue(), "Typed with care");
    assertClean([410, 412]);
  });

  it("deletes after asking, but not what has changed since", async () => {
    await store("deleted", "Once");
    const { page, assertClean } = await browser.visit(api.url);
    const row = page.locator("[data-id=deleted]");
    await row.getByRole("button", { name: "Delete Once" }).click();
    await store("deleted", "Twice");
    await row.getByRole("button", { name: "Delete it" }).click();
    await row.getByText("Someone else changed this item").waitFor();
    assert.match((await row.textContent()) ?? "", /Stored nowTwice/);
    assert.equal((await api.get("/api/data/deleted")).status, 200);
    await row.getByRole("button", { name: "Delete anyway" }).click();
    await row.waitFor({ state: "detached" });
    assert.equal((await api.get("/api/data/deleted")).status, 410);
    await travelled(page);
    assert.match((await readSteps(page))[3]?.join(" ") ?? "", /^Gone [\d,]+ ms/);
    assertClean([410, 412]);
  });

  it("looks a receipt up by its address or its ids, with outcome, lag and trace", async () => {
    const { body } = await api.put("/api/data/looked-up", { nombre: "Olmué" });
    const receipt = await api.settled(body.receipt);
    const { page, assertClean } = await browser.visit(api.url);
    const result = page.locator("#lookup-result");
    for (const asked of [`${api.url}${body.receipt}`, `looked-up ${body.write}`]) {
      await page.getByLabel("Path of the receipt, or").fill(asked);
      await page.getByRole("button", { name: "Look up" }).click();
      await result.getByText(String(receipt.trace)).waitFor();
      const text = (await result.textContent()) ?? "";
      assert.match(
        text,
        new RegExp(`Outcomeapplied.*Lag${receipt.lagMs?.toLocaleString("en")} ms`),
      );
      await page.getByLabel("Path of the receipt, or").fill("");
    }
    await page.getByLabel("Path of the receipt, or").fill("no-such-thing");
    await page.getByRole("button", { name: "Look up" }).click();
    await page.locator("main").getByText("Enter the path of a receipt").waitFor();
    await page.getByLabel("Path of the receipt, or").fill("looked-up not-an-id");
    await page.getByRole("button", { name: "Look up" }).click();
    await page.locator("#lookup-note").getByText("The write does not exist.").waitFor();
    await page.locator("[data-id=looked-up]").getByRole("button", { name: "Receipt" }).click();
    await result.getByText(String(receipt.trace)).waitFor();
    assertClean([404]);
  });

  it("charts rate, lag and backlog from the metrics", async () => {
    const { page, requests, assertClean } = await browser.visit(api.url);
    await page.locator("main").getByText("From /metrics of the API process").waitFor();
    await page.getByRole("img", { name: /^Rate over two minutes: now 0 writes\/s/ }).waitFor();
    await api.post("/api/data", [{ nombre: "a" }, { nombre: "b" }, { nombre: "c" }]);
    await page.getByRole("img", { name: /^Rate .* highest [\d.]+ writes\/s/ }).waitFor();
    await page
      .locator("#rate p")
      .getByText(/highest [\d.]*[1-9]/)
      .waitFor();
    await page.getByRole("img", { name: /^Lag over two minutes: now [1-9][\d,]* ms/ }).waitFor();
    await page.getByRole("img", { name: /^Backlog over two minutes: now 0 unsettled/ }).waitFor();
    assert.match((await page.locator("#rate .line").getAttribute("d")) ?? "", /^M\d+ .*L/);
    assert.ok(requests().includes("GET /metrics"));
    assertClean();
  });

  it("shows a write that waits, and the backlog, until it is settled", async () => {
    const idle = await createTestEnvironment();
    try {
      const { url } = await idle.startApi({ env: { METRICS: "on" } });
      const { page, assertClean } = await browser.visit(url);
      await send(page, "Patience");
      await page.locator("#latest .runs").getByText("Settled").waitFor();
      assert.equal(await page.locator("#latest .done").count(), 2);
      const backlog = page.locator("#backlog");
      await backlog.getByText("1 unsettled", { exact: true }).waitFor();
      await backlog.getByText(/^the oldest for [\d,]+ ms; highest 1 unsettled$/).waitFor();
      await idle.startSubscriber();
      await travelled(page);
      await backlog.getByText("0 unsettled", { exact: true }).waitFor();
      await page.locator("#rows > li").getByText("Patience").waitFor();
      assertClean();
    } finally {
      await browser.leave();
      await idle.close();
    }
  });

  it("charts its own writes where there are no metrics, and says so", async () => {
    const { url } = await environment.startApi();
    const { page, requests, assertClean } = await browser.visit(url);
    await page
      .locator("main")
      .getByText("METRICS is off here, so these show the writes of this page.")
      .waitFor();
    await send(page, "Counted here");
    await page.getByRole("img", { name: /^Lag over two minutes: now [\d,]+ ms/ }).waitFor();
    await page.getByRole("img", { name: /^Backlog over two minutes: now 0 unsettled/ }).waitFor();
    assert.ok(!requests().includes("GET /metrics"));
    assertClean();
  });

  it("draws the reference of every operation in the OpenAPI document", async () => {
    const { page, assertClean } = await browser.visit(api.url);
    const { body } = await api.get("/openapi.json");
    const paths = Object.entries(body.paths as Record<string, Record<string, unknown>>);
    const operations = paths.flatMap(([path, methods]) =>
      ["get", "post", "put", "delete"]
        .filter((method) => method in methods)
        .map((method) => `${method.toUpperCase()}${path}`),
    );
    const drawn = page.locator("#operations > details");
    await drawn.nth(operations.length - 1).waitFor();
    const titles = await page.locator("#operations summary").allTextContents();
    for (const [place, title] of titles.entries())
      assert.ok(title.startsWith(operations[place] ?? "?"), title);
    assert.equal(titles.length, operations.length);
    for (const summary of await page.locator("#operations summary").all()) await summary.click();
    const post = drawn.filter({ hasText: "POST/api/data" });
    await post.getByText("Idempotency-Key", { exact: true }).waitFor();
    await post.getByText('{"nombre":"Valpo"}', { exact: true }).waitFor();
    assert.match((await post.textContent()) ?? "", /202.*Pub\/Sub holds it/);
    assert.doesNotMatch(
      (await page.locator("#operations").textContent()) ?? "",
      /undefined|\[object/,
    );
    assertClean();
  });

  it("asks for an API key where one is needed, and keeps it in memory only", async () => {
    const sha256 = createHash("sha256").update("open-sesame").digest("hex");
    const env = {
      API_KEYS: `page ${sha256} *:read *:write operate`,
      ACCESS: "keys",
      METRICS: "on",
    };
    const { url } = await environment.startApi({ env });
    const { page, requests, assertClean } = await browser.visit(url);
    await page.locator("main").getByText("Reading requires an API key.").waitFor();
    await send(page, "Locked");
    await page.locator("main").getByText("Writing requires an API key.").waitFor();
    assert.equal(
      await page.getByLabel("Key", { exact: true }).evaluate("document.activeElement.id"),
      "key",
    );
    assertClean();
    await page.getByLabel("Key", { exact: true }).fill("wrong");
    await page.keyboard.press("Enter");
    await page.locator("#key-note").getByText("The API key is not valid.").waitFor();
    await page.getByLabel("Key", { exact: true }).fill("open-sesame");
    await page.keyboard.press("Enter");
    await page.locator("#rows > li").first().waitFor();
    assert.equal(await page.getByLabel("New tema").inputValue(), "Locked");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await travelled(page);
    await page.locator("main").getByText("From /metrics of the API process").waitFor();
    const kept = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])";
    assert.equal(await page.evaluate(kept), '[{},{},""]');
    assert.ok(requests().every((each) => !each.includes("sesame")));
    assert.deepEqual(await findBarriers(page), []);
    await page.getByRole("button", { name: "Forget key" }).click();
    await page.locator("main").getByText("Reading requires an API key.").waitFor();
    assertClean([401]);
  });

  it("lets those without a key read where only writes need one, and learns of keys later", async () => {
    const sha256 = createHash("sha256").update("open-sesame").digest("hex");
    await store("readable", "For everybody");
    const { url } = await environment.startApi({ env: { API_KEYS: `page ${sha256} *:write` } });
    const { page, assertClean } = await browser.visit(url);
    await page.locator("#rows > li").first().waitFor();
    await page.locator("#key").fill("wrong");
    await page.keyboard.press("Enter");
    await page.locator("#key-note").getByText("The API key is not valid.").waitFor();
    await store("readable-later", "Still for everybody");
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.locator("#rows > li").getByText("Still for everybody").waitFor();
    assertClean([401]);
    const other = await browser.visit(api.url);
    await other.page.route("**/api/data", (route) =>
      route.request().method() === "POST"
        ? route.fulfill({ status: 401, json: { detail: "An API key is needed now." } })
        : route.continue(),
    );
    assert.equal(await other.page.locator("#key").isVisible(), false);
    await send(other.page, "Since when?");
    await other.page.locator("#key-note").getByText("An API key is needed now.").waitFor();
    assert.equal(await other.page.getByLabel("New tema").inputValue(), "Since when?");
    other.assertClean([401]);
  });

  it("loses nothing typed and sends nothing twice while the API is away", async () => {
    await store("kept-open", "Open");
    const first = await environment.spawn("api");
    const { page, requests, assertClean } = await browser.visit(first.url);
    const row = page.locator("[data-id=kept-open]");
    await row.getByRole("button", { name: "Edit Open" }).click();
    await row.getByLabel("Nombre").fill("Typed before");
    const keys: string[] = [];
    page.on("request", (request) => {
      if (request.method() === "POST") keys.push(request.headers()["idempotency-key"] ?? "none");
    });
    await first.end("SIGKILL");
    await send(page, "Sent while away");
    await page.locator("#banner.bad").getByText("The API cannot be reached since").waitFor();
    await page.locator("main").getByText("Retrying with the same Idempotency-Key").waitFor();
    assert.deepEqual(await findBarriers(page), []);
    await environment.spawn("api", { PORT: String(first.port) });
    await page.locator("#banner.good").getByText("The API is back").waitFor();
    await travelled(page);
    assert.equal(new Set(keys).size, 1);
    assert.match(keys[0] ?? "", /^\d+(-\d+){3}$/);
    assert.ok(keys.length >= 2, String(keys));
    assert.equal(await countStored("Sent while away"), 1);
    assert.equal(await row.getByLabel("Nombre").inputValue(), "Typed before");
    await row.getByRole("button", { name: "Save" }).click();
    await row.getByText("Applied after").waitFor();
    assert.ok(requests().includes("GET /health/live"));
    assertClean([0]);
  });

  it("stores a write once whose answer was lost", async () => {
    const { page, assertClean } = await browser.visit(api.url);
    let lost = 0;
    await page.route("**/api/data", async (route) => {
      if (route.request().method() !== "POST" || lost > 0) return route.continue();
      lost += 1;
      await route.fetch();
      await route.abort();
    });
    await send(page, "Answered twice");
    await travelled(page);
    assert.equal(lost, 1);
    assert.equal(await countStored("Answered twice"), 1);
    assertClean([0]);
  });

  it("retries a write that is refused temporarily, until it is told to stop", async () => {
    const { page, assertClean } = await browser.visit(api.url);
    const body = JSON.stringify({ detail: "The queue is full." });
    await page.route("**/api/data", (route) =>
      route.request().method() === "POST"
        ? route.fulfill({ status: 503, contentType: "application/problem+json", body })
        : route.continue(),
    );
    await send(page, "Not now");
    await page.locator("#write-note").getByText("The queue is full.").waitFor();
    await page.getByRole("button", { name: "Stop sending it" }).click();
    await page.locator("main").getByText("Write retries it, and it is stored only once.").waitFor();
    assert.equal(await page.getByLabel("New tema").inputValue(), "Not now");
    assert.equal(await page.getByLabel("New tema").isEditable(), true);
    assertClean([503]);
  });

  it("has no accessibility violation that axe finds, light or dark, by the system's setting or the reader's", async () => {
    await store("barrier", "Here to be edited");
    const { page, assertClean } = await browser.visit(api.url, { colorScheme: "light" });
    await send(page, "Read aloud");
    await travelled(page);
    await send(page, "And another");
    await travelled(page);
    const rows = page.locator("#rows > li");
    await rows.nth(1).getByRole("button", { name: "Receipt" }).click();
    await page.locator("#lookup-result dl").waitFor();
    await rows.nth(1).getByRole("button", { name: "Edit" }).click();
    await rows.nth(2).getByRole("button", { name: "Delete" }).click();
    await rows.nth(2).getByText("Delete this item?").waitFor();
    await page.locator("main").getByText("What is measured where").click();
    for (const place of [0, 4, 5, 10]) await page.locator("#operations summary").nth(place).click();
    assert.deepEqual(await findBarriers(page), []);
    const paper = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await paper();
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await paper();
    assert.notEqual(dark, light);
    assert.deepEqual(await findBarriers(page), []);
    await page.getByLabel("Theme").selectOption("Light");
    assert.equal(await paper(), light);
    await page.getByLabel("Theme").selectOption("System");
    assert.equal(await paper(), dark);
    assertClean();
  });

  it("can be read at 320 pixels without scrolling sideways", async () => {
    await store("narrow", "W".repeat(200));
    const { page, assertClean } = await browser.visit(api.url, {
      viewport: { width: 320, height: 640 },
      hasTouch: true,
    });
    const row = page.locator("[data-id=narrow]");
    await row.waitFor();
    assert.equal(await overflow(page), 0);
    await send(page, "M".repeat(200));
    await travelled(page);
    await row.getByRole("button", { name: "Receipt" }).click();
    await page.locator("#lookup-result dl").waitFor();
    for (const summary of await page.locator("summary").all()) await summary.click();
    await row.getByRole("button", { name: "Edit" }).click();
    await row.getByLabel("Nombre").fill("Q".repeat(200));
    await store("narrow", "Z".repeat(200));
    assert.equal(await overflow(page), 0);
    await row.getByRole("button", { name: "Save" }).click();
    await row.locator(".versions").waitFor();
    assert.equal(await overflow(page), 0);
    const small =
      "[...document.querySelectorAll('button, input, select')].filter((each) =>" +
      " each.checkVisibility() && each.getBoundingClientRect().right > innerWidth).length";
    assert.equal(await page.evaluate(small), 0);
    assertClean([412]);
  });

  it("is used by keyboard alone, with the focus in sight", async () => {
    await store("to-tab-past", "To tab past");
    const { page, assertClean } = await browser.visit(api.url);
    await page.locator("#rows > li").first().waitFor();
    const stops: string[] = [];
    const outlines: string[] = [];
    for (let count = 0; count < 8 && stops.at(-1) !== "nombre"; count += 1) {
      await page.keyboard.press("Tab");
      stops.push(String(await page.evaluate("document.activeElement.id")));
      outlines.push(
        String(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")),
      );
    }
    assert.deepEqual(stops, ["skip", "", "", "", "theme", "nombre"]);
    assert.deepEqual(new Set(outlines), new Set(["solid"]));
    await page.keyboard.type("By keyboard");
    await page.keyboard.press("Enter");
    await travelled(page);
    const row = page.locator("#rows > li").first();
    await row.getByText("By keyboard").waitFor();
    // To the first row's Edit, past the steps' details and the list's Refresh.
    await until("Edit has the focus", async () => {
      await page.keyboard.press("Tab");
      return (await focusedName(page)) === "Edit By keyboard";
    });
    await page.keyboard.press("Enter");
    await row.getByLabel("Nombre").waitFor();
    await page.keyboard.type("By keyboard, edited");
    await page.keyboard.press("Enter");
    await row.getByText("Applied after").waitFor();
    await page.keyboard.press("Enter");
    await row.getByLabel("Nombre").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await focusedName(page), "Edit By keyboard, edited");
    assertClean();
  });

  it("has no animation where reduced motion is preferred", async () => {
    for (const [reducedMotion, expected] of [
      ["reduce", "none"],
      ["no-preference", "wait"],
    ] as const) {
      const { page } = await browser.visit(api.url, { reducedMotion });
      await page.route("**/writes/*", () => {});
      await send(page, "Long on its way");
      await page.locator("#latest .runs").waitFor();
      const name = `getComputedStyle(document.querySelector(".runs"), "::before").animationName`;
      assert.equal(await page.evaluate(name), expected);
    }
  });

  async function countStored(nombre: string): Promise<number> {
    const sql = "SELECT COUNT(*) AS count FROM data WHERE nombre = ?";
    const [row] = await query(environment.pool, sql, [nombre]);
    return Number(row?.count);
  }
});

async function send(page: Page, nombre: string): Promise<void> {
  await page.getByLabel("New tema").fill(nombre);
  await page.getByRole("button", { name: "Write", exact: true }).click();
}

/** Waits until the latest write has been read back. */
async function travelled(page: Page): Promise<void> {
  await page.locator("#latest li.done").nth(3).waitFor();
}

/** Name, milliseconds and where of each step of the latest write. */
async function readSteps(page: Page): Promise<string[][]> {
  const steps: Locator[] = await page.locator("#latest .steps > li").all();
  return Promise.all(steps.map((step) => step.locator("> *").allTextContents()));
}

async function focusedName(page: Page): Promise<string> {
  return String(await page.evaluate("document.activeElement.ariaLabel"));
}
