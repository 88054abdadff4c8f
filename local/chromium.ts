import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasPackages, unpackPackages } from "./debian-packages.ts";
import { findProgram } from "./mysql-server.ts";
import type { Say } from "./processes.ts";

/** How to launch a Chromium, in Playwright's words. */
export type Chromium = {
  executablePath: string;
  args: string[];
  env: Record<string, string>;
};

/** As the distributions name it; and Chrome, which is as good. */
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/**
 * The loader that starts Chromium's processes is the machine's, and fits no other libc. The rest are
 * alternatives and drivers that nothing without a screen asks for; they are half of what it weighs.
 */
const NOT_WANTED =
  /^(libc6$|libllvm|libz3|libgl1-mesa-dri|libkf\d|libqt\d|.*-icon-theme$|fonts-(croscore|free|tex|urw))/;
const NOTHING_FOUND =
  "no Chromium could be found: install it, or run this on Debian, whose packages are fetched";

/** A Chromium on the PATH; else Debian's, unpacked once into `folder` without root. */
export async function findChromium(folder: string, say: Say): Promise<Chromium> {
  // The sandbox wants root's help or user namespaces; what is opened here is our own page.
  const args = ["--no-sandbox", "--disable-gpu"];
  const installed = PROGRAMS.map((name) => findProgram(name)).find((file) => file && works(file));
  if (installed) return { executablePath: installed, args, env: ownEnvironment() };
  if (!hasPackages()) throw new Error(NOTHING_FOUND);
  const root = join(folder, "chromium");
  await unpackPackages(
    {
      title: "Chromium",
      megabytes: 200,
      packages: [["chromium"], ["fonts-dejavu-core"], ["fonts-liberation"]],
      withDependencies: true,
      without: NOT_WANTED,
    },
    root,
    say,
  );
  const executablePath = join(root, "usr", "lib", "chromium", "chromium");
  if (!existsSync(executablePath)) throw new Error(NOTHING_FOUND);
  return { executablePath, args, env: { ...ownEnvironment(), ...unpackedEnvironment(root) } };
}

/** Ubuntu's packages hold a program that only says that a snap is wanted. */
function works(file: string): boolean {
  try {
    execFileSync(file, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function ownEnvironment(): Record<string, string> {
  const given = Object.entries(process.env).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Record<string, string>;
}

/** The unpacked libraries and fonts; the machine may have none. */
function unpackedEnvironment(root: string): Record<string, string> {
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
