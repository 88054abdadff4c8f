import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { hasPackages, unpackPackages } from "./debian-packages.ts";
import { type Say, withProgress } from "./processes.ts";
import { describeFailure, findProgram } from "./programs.ts";

/** How to launch a Chromium, in Playwright's words. */
export type Chromium = {
  executablePath: string;
  args: string[];
  env: Record<string, string>;
};

/** A program, and the variables that it needs to run. */
type Program = { file: string; env?: Record<string, string> };
/** One way to get a Chromium; undefined where it has none. */
export type ChromiumSource = (folder: string, say: Say) => Promise<Program | undefined>;

/** As the distributions name it; and Chrome, which serves as well. */
const PROGRAMS = [
  "chromium-headless-shell",
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
/**
 * The loader that starts Chromium's processes is the machine's, and fits no other libc. The rest are
 * alternatives and drivers that nothing without a screen asks for; they are half of the size.
 */
const UNWANTED_PACKAGES =
  /^(libc6$|libllvm|libz3|libgl1-mesa-dri|libkf\d|libqt\d|.*-icon-theme$|fonts-(croscore|free|tex|urw))/;
const NOTHING_FOUND =
  'no Chromium could be found or fetched. Install the package chromium ("brew install --cask chromium" on macOS, "sudo dnf install chromium" on Fedora), or set CHROME_PATH to a Chromium or a Chrome.';
/** The sandbox needs root's help or user namespaces; what is opened here is our own page. */
const ARGS = ["--no-sandbox", "--disable-gpu"];

const run = promisify(execFile);

/** Best first; each is asked only when the ones before gave no program that works. */
export const CHROMIUM_SOURCES: readonly ChromiumSource[] = [
  findInstalled,
  unpackChromium,
  downloadChromium,
];

/**
 * A Chromium that runs here: the one that CHROME_PATH names; else an installed one; else one that
 * is fetched into `folder`, once. Throws a sentence that says what to install where there is none.
 */
export async function findChromium(
  folder: string,
  say: Say,
  sources = CHROMIUM_SOURCES,
): Promise<Chromium> {
  const named = process.env.CHROME_PATH;
  if (named) return describeChromium({ file: named });
  for (const source of sources) {
    try {
      const program = await source(folder, say);
      if (program && works(program)) return describeChromium(program);
    } catch (error) {
      say(`Chromium cannot be fetched: ${describeFailure(error)}`);
    }
  }
  throw new Error(NOTHING_FOUND);
}

async function findInstalled(): Promise<Program | undefined> {
  const files = PROGRAMS.map((name) => (name.startsWith("/") ? name : findProgram(name)));
  const file = files.find((candidate) => candidate && works({ file: candidate }));
  return file ? { file } : undefined;
}

/**
 * Debian's package without a window, unpacked without root: half as large as the whole browser, and
 * with less to do.
 */
async function unpackChromium(folder: string, say: Say): Promise<Program | undefined> {
  if (!hasPackages()) return undefined;
  const root = join(folder, "headless-shell");
  const packages = {
    title: "Chromium",
    megabytes: 110,
    packages: [["chromium-headless-shell"], ["fonts-dejavu-core"], ["fonts-liberation"]],
    withDependencies: true,
    without: UNWANTED_PACKAGES,
  };
  await unpackPackages(packages, root, say);
  const file = join(root, "usr", "lib", "chromium", "chromium-headless-shell");
  return { file, env: describeUnpackedFiles(root) };
}

/** Playwright's own build, for machines whose packages cannot be unpacked. */
export async function downloadChromium(folder: string, say: Say): Promise<Program> {
  const env = { ...process.env, PLAYWRIGHT_BROWSERS_PATH: join(folder, "playwright") };
  const playwright = join(import.meta.dirname, "..", "node_modules", ".bin", "playwright-core");
  const download = run(playwright, ["install", "--no-shell", "chromium"], { env });
  await withProgress(say, "downloading Playwright's Chromium (once, about 150 MB)", download);
  // The package reads the variable when it is loaded, so another process has to be asked.
  const program = 'console.log((await import("playwright-core")).chromium.executablePath())';
  const args = ["--input-type=module", "--eval", program];
  const { stdout } = await run(process.execPath, args, { cwd: import.meta.dirname, env });
  return { file: stdout.trim() };
}

/** Ubuntu's package holds a program that only says that the snap has to be installed. */
function works({ file, env }: Program): boolean {
  try {
    execFileSync(file, ["--version"], { stdio: "ignore", env: { ...process.env, ...env } });
    return true;
  } catch {
    return false;
  }
}

function describeChromium({ file, env }: Program): Chromium {
  const given = Object.entries({ ...process.env, ...env }).filter(
    ([, value]) => value !== undefined,
  );
  return {
    executablePath: file,
    args: ARGS,
    env: Object.fromEntries(given) as Record<string, string>,
  };
}

/** The variables that name the unpacked libraries and fonts; the machine may have none. */
function describeUnpackedFiles(root: string): Record<string, string> {
  const processor = process.arch === "arm64" ? "aarch64" : "x86_64";
  const folders = [`${processor}-linux-gnu`, `${processor}-linux-gnu/pulseaudio`];
  const libraries = ["usr/lib", "lib"].flatMap((lib) =>
    folders.map((folder) => join(root, lib, folder)),
  );
  const cache = join(root, "..", "chromium-fonts");
  mkdirSync(cache, { recursive: true });
  const file = join(cache, "fonts.conf");
  writeFileSync(
    file,
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(root, "usr", "share", "fonts")}</dir>
  <cachedir>${cache}</cachedir>
  <include ignore_missing="yes">${join(root, "etc", "fonts", "conf.d")}</include>
</fontconfig>
`,
  );
  return { LD_LIBRARY_PATH: libraries.join(":"), FONTCONFIG_FILE: file };
}
