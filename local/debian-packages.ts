import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type AptSource, formatAptSource, parseAptSources } from "./apt-sources.ts";
import { type Say, withProgress } from "./processes.ts";

/** Programs that Debian and Ubuntu package. */
export type PackageSet = {
  /** Their name in the lines of progress, such as "MySQL". */
  title: string;
  /** About the size of the download. */
  megabytes: number;
  /** The possible names of each package, best first: distributions name some differently. */
  packages: string[][];
  /** Whether their dependencies are unpacked too, so that they run with libraries of their own. */
  withDependencies: boolean;
  /** The dependencies to leave out. */
  without?: RegExp;
  /** The suite of Debian that has them, where the machine's own does not. */
  debianSuite?: string;
};

const DEBIAN_ARCHITECTURES: Record<string, string> = { x64: "amd64", arm64: "arm64" };

const run = promisify(execFile);

/** Whether this machine is a Debian or an Ubuntu whose packages can be fetched and unpacked. */
export function hasPackages(): boolean {
  return (
    process.platform === "linux" &&
    process.arch in DEBIAN_ARCHITECTURES &&
    ["/usr/bin/apt-get", "/usr/bin/dpkg-deb"].every((file) => existsSync(file))
  );
}

/**
 * Fetches the packages from the machine's own mirror, without root, and unpacks them into one
 * folder, which appears only when it is complete. The machine's own packages stay as they are: apt
 * works on a state of its own.
 */
export async function unpackPackages(set: PackageSet, folder: string, say: Say): Promise<void> {
  if (existsSync(folder)) return;
  await removeAbandoned(folder);
  const draft = `${folder}.${process.pid}`;
  try {
    const apt = await prepareApt(join(draft, "apt"), chooseSources(set));
    const sentence = `fetching ${set.title}'s packages`;
    say(`${sentence} (once, about ${set.megabytes} MB, no root needed)`);
    const files = await withProgress(say, sentence, download(apt, set));
    const root = join(draft, "root");
    await mkdir(root);
    const unpacking = files.map((file) => run("dpkg-deb", ["--extract", file, root]));
    await withProgress(say, "unpacking them", Promise.all(unpacking));
    await rename(root, folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster; its folder is the same.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Drafts are named after the process that made them; those of ended processes are removed. */
async function removeAbandoned(folder: string): Promise<void> {
  const parent = join(folder, "..");
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    const pid = Number(/\.(\d+)$/.exec(name)?.[1]);
    if (pid && !existsSync(`/proc/${pid}`)) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}

function chooseSources({ debianSuite }: PackageSet): AptSource[] {
  const release = readOsRelease();
  const codename = release.UBUNTU_CODENAME ?? release.VERSION_CODENAME ?? "stable";
  const isUbuntu = release.ID === "ubuntu" || release.UBUNTU_CODENAME !== undefined;
  const own = readMachineSources().filter(
    ({ suite, components }) =>
      components.includes("main") && (suite === codename || suite.startsWith(`${codename}-`)),
  );
  const first = own.find(({ uri }) => /\/(debian|ubuntu)\/?$/.test(uri)) ?? own[0];
  if (!first) throw new Error(`apt's sources name no mirror for "${codename}"`);
  if (isUbuntu) return own.map((source) => ({ ...source, components: ["main", "universe"] }));
  if (debianSuite === undefined) return own;
  return [{ ...first, suite: debianSuite, components: ["main"] }];
}

function readOsRelease(): Record<string, string | undefined> {
  const lines = readFileSync("/etc/os-release", "utf8").matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
}

function readMachineSources(): AptSource[] {
  const folder = "/etc/apt/sources.list.d";
  const parts = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return ["/etc/apt/sources.list", ...parts].flatMap((file) => {
    if (!existsSync(file)) return [];
    if (file.endsWith(".list")) return parseAptSources(readFileSync(file, "utf8"), "list");
    if (file.endsWith(".sources")) return parseAptSources(readFileSync(file, "utf8"), "sources");
    return [];
  });
}

/** Prepares a folder in which apt keeps its lists and packages, with the configuration for it. */
async function prepareApt(folder: string, sources: AptSource[]): Promise<string> {
  await mkdir(join(folder, "lists", "partial"), { recursive: true });
  await mkdir(join(folder, "cache", "archives", "partial"), { recursive: true });
  const architecture = DEBIAN_ARCHITECTURES[process.arch] ?? process.arch;
  const lines = sources.map((source) => formatAptSource({ ...source, architecture }));
  await writeFile(join(folder, "sources.list"), lines.join(""));
  const configuration = `
    Dir::Etc::SourceList "${join(folder, "sources.list")}";
    Dir::Etc::SourceParts "/dev/null";
    Dir::Etc::PreferencesParts "/dev/null";
    Dir::State::Lists "${join(folder, "lists")}";
    Dir::Cache "${join(folder, "cache")}";
    Acquire::Languages "none";
    Acquire::Retries "2";
    APT::Sandbox::User "root"; // its own user could not write here; without root it is ignored
    #clear APT::Update::Post-Invoke;
    #clear APT::Update::Post-Invoke-Success;
  `;
  await writeFile(join(folder, "apt.conf"), configuration);
  return folder;
}

async function download(folder: string, set: PackageSet): Promise<string[]> {
  const apt = async (command: string, ...args: string[]) => {
    const environment = { ...process.env, LC_ALL: "C" };
    const options = { cwd: folder, env: environment, maxBuffer: 64 * 1024 * 1024 };
    return (await run(command, ["-c", join(folder, "apt.conf"), ...args], options)).stdout;
  };
  await apt("apt-get", "-q", "update");
  const known = new Set((await apt("apt-cache", "pkgnames")).split("\n"));
  const names = set.packages.map((names) => {
    const found = names.find((name) => known.has(name));
    if (!found) throw new Error(`no mirror that answers has ${names[0]}`);
    return found;
  });
  const relations = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"];
  const only = relations.map((relation) => `--no-${relation}`);
  const packages = set.withDependencies
    ? packageNames(await apt("apt-cache", "depends", "--recurse", ...only, ...names))
    : [...new Set(names)];
  const fetched = packages.filter((name) => !set.without?.test(name));
  await apt("apt-get", "-q", "download", ...fetched);
  const files = await readdir(folder);
  return files.filter((name) => name.endsWith(".deb")).map((name) => join(folder, name));
}

/**
 * The packages of `apt-cache depends --recurse`: the lines that are not indented, without virtual
 * ones in angle brackets, without perl (scripts only), and without a stand-in for systemd.
 */
function packageNames(tree: string): string[] {
  const names = tree.split("\n").filter((line) => /^[a-z0-9][a-z0-9+.-]*$/.test(line));
  return names.filter((name) => !/^(lib)?perl|^libelogind/.test(name));
}
