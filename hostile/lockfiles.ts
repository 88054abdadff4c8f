import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Where there is a lockfile. */
export const FOLDERS = [".", "iac", "bench"] as const;
export type Folder = (typeof FOLDERS)[number];

/** They ask for their names to be kept, and no more. */
const ALLOWED = new Set([
  ...["MIT", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "BlueOak-1.0.0"],
]);
/**
 * In tools alone, which nobody is given and whose code is not changed: MPL-2.0 asks for changed
 * files, CC-BY-3.0 and CC0-1.0 are of lists of data, and the last is what its author wrote.
 */
const ALLOWED_IN_TOOLS = new Set(["MPL-2.0", "CC-BY-3.0", "CC0-1.0", "Public Domain"]);
/** Of packages that name their licence in an old form, which npm does not copy; as they say it. */
const STATED: Record<string, string> = { "busboy@1.6.0": "MIT", "streamsearch@1.1.0": "MIT" };

/**
 * Packages that would run something when they are installed, and what is allowed to
 * (`allowScripts` in package.json, which npm obeys).
 */
export const INSTALL_SCRIPTS: Record<Folder, Record<string, { runs: boolean; why: string }>> = {
  ".": {
    node: { runs: true, why: "puts the platform's Node 24 in its place" },
    esbuild: { runs: false, why: "saves a few milliseconds a run" },
    protobufjs: { runs: false, why: "warns about versions" },
  },
  iac: {},
  bench: {
    "@nestjs/core": { runs: false, why: "asks for donations" },
    protobufjs: { runs: false, why: "warns about versions" },
  },
};

export type Locked = {
  folder: Folder;
  name: string;
  version: string;
  licence: string;
  /** Not of what runs in the cloud. */
  isTool: boolean;
  hasInstallScript: boolean;
};

type Lockfile = {
  packages: Record<
    string,
    {
      version: string;
      license?: string;
      dev?: boolean;
      hasInstallScript?: boolean;
      resolved?: string;
      integrity?: string;
    }
  >;
};

const ROOT = join(import.meta.dirname, "..");

/** All packages of a lockfile. */
export function readLocked(folder: Folder): Locked[] {
  const text = readFileSync(join(ROOT, folder, "package-lock.json"), "utf8");
  return Object.entries((JSON.parse(text) as Lockfile).packages)
    .filter(([path]) => path !== "")
    .map(([path, { version, license, dev = false, hasInstallScript = false }]) => {
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      const licence = license ?? STATED[`${name}@${version}`] ?? "none";
      return { folder, name, version, licence, isTool: dev || folder !== ".", hasInstallScript };
    });
}

/** What is wrong with these licences, in sentences; of several to choose from one must do. */
export function judgeLicences(packages: readonly Locked[]): string[] {
  return packages.flatMap(({ folder, name, version, licence, isTool }) => {
    const choices = licence.replaceAll(/[()]/g, "").split(" OR ");
    const isAllowed = (one: string) => ALLOWED.has(one) || (isTool && ALLOWED_IN_TOOLS.has(one));
    if (choices.some(isAllowed)) return [];
    return [`${name}@${version} of ${folder} has a licence that is not allowed: ${licence}`];
  });
}

/** Where install scripts and what is known of them differ, in sentences. */
export function judgeScripts(folder: Folder, packages: readonly Locked[]): string[] {
  const known = INSTALL_SCRIPTS[folder];
  const has = new Set(packages.filter((one) => one.hasInstallScript).map(({ name }) => name));
  const manifest = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8"));
  const allowed = (manifest.allowScripts ?? {}) as Record<string, boolean>;
  const names = new Set([...has, ...Object.keys(known), ...Object.keys(allowed)]);
  return [...names].sort().flatMap((name) => {
    if (!known[name]) return [`${name} of ${folder} has an install script that nobody knows`];
    if (!has.has(name)) return [`${name} of ${folder} has no install script any more`];
    if (allowed[name] === known[name].runs) return [];
    return [`allowScripts of ${folder} must say ${known[name].runs} of ${name}`];
  });
}
