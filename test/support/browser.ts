import assert from "node:assert/strict";
import { join } from "node:path";
import axe from "axe-core";
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { findChromium } from "../../local/chromium.ts";

const FOLDER = join(import.meta.dirname, "..", "..", ".local", "browser");
/** An expectation that is not met by then will not be, however busy the machine is. */
const DEADLINE_MS = 60_000;

/** A page, its requests, and the errors and warnings on its console. */
export type Visit = {
  page: Page;
  /** `METHOD path` of every request so far. */
  requests(): string[];
  /**
   * Checks that it requested no other host, and that its console shows no error but those of
   * answers with these statuses; 0 stands for no answer at all.
   */
  assertClean(statuses?: readonly number[]): void;
};

/** Why there is no browser to test with, or false. In CI, where there must be one, it throws. */
export async function findMissingBrowser(say: (line: string) => void): Promise<string | false> {
  try {
    await findChromium(FOLDER, say);
    return false;
  } catch (error) {
    if (process.env.CI) throw error;
    return (error as Error).message;
  }
}

/** Starts a real browser; `visit` opens a page in a context of its own. */
export async function openBrowser(say: (line: string) => void) {
  const found = await findChromium(FOLDER, say);
  const browser = await chromium.launch({ ...found, timeout: DEADLINE_MS });
  return { visit, leave, close: () => browser.close() };

  /** Closes every page, which would go on polling. */
  async function leave(): Promise<void> {
    await Promise.all(browser.contexts().map((context) => context.close()));
  }

  async function visit(url: string, options: BrowserContextOptions = {}): Promise<Visit> {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    context.setDefaultTimeout(DEADLINE_MS);
    const page = await context.newPage();
    const urls: string[] = [];
    const errors: string[] = [];
    page.on("request", (request) => urls.push(`${request.method()} ${request.url()}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) errors.push(message.text());
    });
    page.on("pageerror", (error) => errors.push(String(error.stack)));
    await page.goto(url);
    return {
      page,
      requests: () => urls.map((each) => each.replace(url, "")),
      assertClean(statuses = []) {
        for (const each of urls) assert.ok(each.split(" ")[1]?.startsWith(`${url}/`), each);
        for (const error of errors) {
          const [, refused] = /^Failed to load resource: .* status of (\d+)/.exec(error) ?? [];
          const isAbsent = /^Failed to load resource: net::ERR_/.test(error);
          const status = isAbsent ? 0 : Number(refused);
          assert.ok(statuses.includes(status), error);
        }
      },
    };
  }
}

/** What axe-core finds wrong with the page, in its words; empty where there is nothing. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run()")) as axe.AxeResults;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`),
  );
}

/** By how many pixels the page is wider than its window. */
export async function overflow(page: Page): Promise<number> {
  return Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth"));
}
