import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { type Chromium, findChromium } from "../../local/chromium.ts";
import { hasPackages, unpackPackages } from "../../local/debian-packages.ts";
import { createTestEnvironment } from "../support/environment.ts";
import { until } from "../support/until.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const IMAGES = join(ROOT, "docs", "images");
const FOLDER = join(ROOT, ".local", "browser");
/** They stand in the README and in git's history for ever. */
const IMAGE_BYTES = 150 * 1024;
/** Of the charts; as many as the page keeps. */
const SAMPLES = 60;
const SAMPLE_MS = 2_000;
const TEMAS = ["Quilpué", "Limache", "Olmué", "Concón", "Reñaca", "Quillota", "Viña del Mar"];
const WIDE = { viewport: { width: 1200, height: 745 } };
const PHONE = { viewport: { width: 360, height: 720 }, deviceScaleFactor: 1.5 };

const say = (line: string) => void process.stdout.write(`constancia: ${line}\n`);

/** `npm run screenshots` writes the pictures of the console page, taken from a environment with life in it. */
test("the screenshots of the console page", async (t) => {
  mkdirSync(IMAGES, { recursive: true });
  const environment = await createTestEnvironment();
  t.after(() => environment.close());
  await environment.startSubscriber();
  const { url } = await environment.startApi({ env: { METRICS: "on" } });
  await fetchFonts();
  const browser = await chromium.launch(withFonts(await findChromium(FOLDER, say)));
  t.after(() => browser.close());
  for (const nombre of TEMAS) await write(url, [nombre]);
  for (const [name, options] of [
    ["light", { ...WIDE, colorScheme: "light" }],
    ["dark", { ...WIDE, colorScheme: "dark" }],
    ["phone", { ...PHONE, colorScheme: "light" }],
  ] as [string, BrowserContextOptions][]) {
    const page = await browser.newPage(options);
    await fillCharts(page, url);
    await page.getByLabel("New tema").fill("Valparaíso");
    await page.keyboard.press("Enter");
    await page.locator("#latest li.done").nth(3).waitFor();
    await page.locator("#rows > li").filter({ hasText: "Valparaíso" }).first().waitFor();
    const file = join(IMAGES, `console-${name}.png`);
    await page.screenshot({ path: file, animations: "disabled", caret: "hide" });
    const { size } = statSync(file);
    if (size > IMAGE_BYTES) throw new Error(`${file} has ${size} bytes, more than ${IMAGE_BYTES}`);
    say(`${file}: ${size} bytes`);
    await page.close();
  }
});

/** Two minutes of writes in a few seconds: the page's clock runs ahead, and then goes on as usual. */
async function fillCharts(page: Page, url: string): Promise<void> {
  const drawn = () => page.locator("#live").innerHTML();
  await page.clock.install();
  await page.goto(url);
  await page.clock.pauseAt(Date.now() + SAMPLE_MS);
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const count = Math.round(6 + 4 * Math.sin(sample / 6) + 3 * Math.sin(sample / 2.3));
    await write(url, Array(Math.max(0, count)).fill("Ritoque"), {});
    const before = await drawn();
    await page.clock.runFor(SAMPLE_MS);
    await until("the sample is drawn", async () => (await drawn()) !== before);
  }
  for (const nombre of TEMAS) await write(url, [nombre]);
  await page.clock.resume();
  await page.getByRole("button", { name: "Refresh" }).click();
  await page
    .locator("#rows > li")
    .first()
    .getByText(TEMAS.at(-1) ?? "")
    .waitFor();
}

async function write(
  url: string,
  nombres: readonly string[],
  headers: Record<string, string> = { prefer: "wait=10" },
): Promise<void> {
  if (nombres.length === 0) return;
  const { status } = await fetch(`${url}/api/data`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(nombres.map((nombre) => ({ nombre }))),
  });
  if (status >= 300) throw new Error(`a write was answered with ${status}`);
}

/** A system font such as most readers have; what a server's Debian has instead is far wider. */
async function fetchFonts(): Promise<void> {
  const inter = { title: "Inter", megabytes: 7, packages: [["fonts-inter"]] };
  const set = { ...inter, withDependencies: false };
  if (hasPackages()) await unpackPackages(set, join(FOLDER, "inter"), say);
}

function withFonts(found: Chromium): Chromium {
  const file = join(FOLDER, "screenshots-fonts.conf");
  const folders = ["/usr/share/fonts", join(FOLDER, "chromium", "usr", "share", "fonts")];
  writeFileSync(
    file,
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  ${[...folders, join(FOLDER, "inter")].map((folder) => `<dir>${folder}</dir>`).join("\n  ")}
  <cachedir>${join(FOLDER, "screenshots-fonts")}</cachedir>
  <alias binding="strong"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>ui-monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
`,
  );
  return { ...found, env: { ...found.env, FONTCONFIG_FILE: file } };
}
