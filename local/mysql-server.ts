import { execFileSync } from "node:child_process";
import { existsSync, globSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { hasPackages } from "./debian-packages.ts";
import { downloadMysql } from "./mysql-download.ts";
import { type Engine, unpackServer } from "./mysql-packages.ts";
import type { Say } from "./processes.ts";
import { describeFailure, findProgram, isDockerRunning } from "./programs.ts";

/** A server program that this machine can run, not yet a running one. */
export type Server = {
  engine: Engine;
  /** The program, with the loader before it where it needs its own; for Docker, the image. */
  command: string[];
  /** Where it finds its own files. */
  options: string[];
  /** The folder of its SQL files, for MariaDB's set-up. */
  share: string;
  isContainer: boolean;
};

export type FindOptions = {
  engine: Engine;
  /** Where fetched servers are kept. */
  enginesFolder: string;
  say: Say;
};

/** One way to get a server; it may find more than one, best first. */
export type ServerSource = (options: FindOptions) => AsyncGenerator<Server>;

export const ENGINE_NAMES: Record<Engine, string> = { mysql: "MySQL", mariadb: "MariaDB" };
const PROGRAMS: Record<Engine, string> = { mysql: "mysqld", mariadb: "mariadbd" };
const DOCKER_IMAGE = "mysql:8.4";
/** Where servers are installed without being on an ordinary user's PATH. */
const MORE_PROGRAM_FOLDERS = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/usr/libexec",
  "/usr/local/mysql/bin",
  "/opt/homebrew/opt/mysql/bin",
  "/opt/homebrew/opt/mysql@8.4/bin",
];

/** Best first; each is asked only when the ones before gave no server that works. */
export const SERVER_SOURCES: readonly ServerSource[] = [
  findInstalled,
  findPackaged,
  findContainer,
  findDownloaded,
];

/** The command line's beginning: the program, its own files, and who runs it. */
export function buildCommand(server: Server, folder: string, port?: number): string[] {
  const asRoot = process.getuid?.() === 0 ? ["--user=root"] : [];
  if (!server.isContainer) {
    return [...server.command, "--no-defaults", ...server.options, ...asRoot];
  }
  const container = `constancia-${basename(folder)}-${port ?? "setup"}-${process.pid}`;
  const publish = port === undefined ? [] : ["--publish", `127.0.0.1:${port}:3306`];
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return [
    "docker",
    "run",
    "--rm",
    "--name",
    container,
    "--user",
    user,
    ...publish,
    "--volume",
    `${folder}:${folder}`,
    "--entrypoint",
    "mysqld",
    ...server.command,
    "--no-defaults",
    ...asRoot,
  ];
}

/** A server that is installed on this machine. */
export async function* findInstalled({ engine }: FindOptions): AsyncGenerator<Server> {
  const program = findProgram(PROGRAMS[engine], MORE_PROGRAM_FOLDERS);
  if (!program) return;
  try {
    const version = execFileSync(program, ["--no-defaults", "--version"], { encoding: "utf8" });
    // MariaDB, too, calls its server mysqld in places.
    if (version.includes("MariaDB") !== (engine === "mariadb")) return;
  } catch {
    return;
  }
  yield describeProgram(engine, program);
}

/** Debian's or Ubuntu's packages, unpacked without root; MariaDB's where they have no MySQL. */
export async function* findPackaged(options: FindOptions): AsyncGenerator<Server> {
  const { engine, enginesFolder, say } = options;
  if (!hasPackages()) return;
  const engines: Engine[] = engine === "mysql" ? ["mysql", "mariadb"] : ["mariadb"];
  for (const candidate of engines) {
    const root = join(enginesFolder, candidate);
    try {
      await unpackServer(candidate, root, say);
      yield describeUnpacked(candidate, root);
    } catch (error) {
      const name = ENGINE_NAMES[candidate];
      say(`${name} is not available from the packages: ${describeFailure(error)}`);
    }
  }
}

/** MySQL's own image, where a Docker daemon answers. */
export async function* findContainer({ engine }: FindOptions): AsyncGenerator<Server> {
  if (engine !== "mysql" || !isDockerRunning()) return;
  yield { engine, command: [DOCKER_IMAGE], options: [], share: "", isContainer: true };
}

/** MySQL's own binaries, as the npm package mysql-memory-server downloads them. */
export async function* findDownloaded(options: FindOptions): AsyncGenerator<Server> {
  const { engine, enginesFolder, say } = options;
  if (engine !== "mysql") return;
  try {
    yield describeProgram(engine, await downloadMysql(join(enginesFolder, "download"), say));
  } catch (error) {
    say(`MySQL cannot be downloaded: ${describeFailure(error)}`);
  }
}

/** A program that finds its own files, beside itself. */
function describeProgram(engine: Engine, program: string): Server {
  const home = join(realpathSync(program), "..", "..");
  const share = globSync(join(home, "share", "{mariadb,mysql}"))[0] ?? "";
  return { engine, command: [program], options: [], share, isContainer: false };
}

/** Unpacked programs may need a newer libc than the machine's: they get their own loader. */
function describeUnpacked(engine: Engine, root: string): Server {
  const processor = process.arch === "arm64" ? "aarch64" : "x86_64";
  const loaderName = process.arch === "arm64" ? "ld-linux-aarch64.so.1" : "ld-linux-x86-64.so.2";
  const libraries = ["usr/lib", "lib"].map((lib) => join(root, lib, `${processor}-linux-gnu`));
  const loader = libraries.map((folder) => join(folder, loaderName)).find((it) => existsSync(it));
  if (!loader) throw new Error(`${root} has no ${loaderName}; delete that folder and try again`);
  const home = join(root, "usr");
  const share = join(home, "share", "mysql");
  return {
    engine,
    command: [loader, "--library-path", libraries.join(":"), join(home, "sbin", PROGRAMS[engine])],
    options: [
      `--basedir=${home}`,
      `--plugin-dir=${join(home, "lib", "mysql", "plugin")}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, "charsets")}`,
    ],
    share,
    isContainer: false,
  };
}
