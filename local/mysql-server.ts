import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, realpathSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { hasPackages } from "./debian-packages.ts";
import { type Engine, unpackServer } from "./mysql-packages.ts";
import type { Say } from "./processes.ts";

/** A server program that this machine can run, not yet a running one. */
export type Server = {
  engine: Engine;
  origin: "path" | "packages" | "docker";
  /** The program, with the loader before it where it needs its own. */
  command: string[];
  /** Where it finds its own files. */
  options: string[];
  /** The folder of its SQL files, for MariaDB's set-up. */
  share: string;
};

export type FindOptions = {
  engine: Engine;
  /** Where unpacked servers are kept. */
  enginesFolder: string;
  say: Say;
};

export const ENGINE_NAMES: Record<Engine, string> = { mysql: "MySQL", mariadb: "MariaDB" };
const PROGRAMS: Record<Engine, string> = { mysql: "mysqld", mariadb: "mariadbd" };
const DOCKER_IMAGE = "mysql:8.4";
/** Where servers are installed without being on an ordinary user's PATH. */
const MORE_PROGRAM_FOLDERS = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/usr/libexec",
  "/usr/local/mysql/bin",
];

/** The servers that can serve, best first; each is looked for only when the one before failed. */
export async function* findServers(options: FindOptions): AsyncGenerator<Server> {
  const { engine, enginesFolder, say } = options;
  const installed = findInstalled(engine);
  if (installed) yield installed;
  if (hasPackages()) {
    const engines: Engine[] = engine === "mysql" ? ["mysql", "mariadb"] : ["mariadb"];
    for (const candidate of engines) {
      const root = join(enginesFolder, candidate);
      try {
        await unpackServer(candidate, root, say);
      } catch (error) {
        say(`${ENGINE_NAMES[candidate]} cannot be had from the packages: ${describe(error)}`);
        continue;
      }
      yield describeUnpacked(candidate, root);
    }
  }
  if (engine === "mysql" && isDockerRunning()) yield describeDocker();
}

/** The command line's beginning: the program, its own files, and who runs it. */
export function buildCommand(server: Server, folder: string, port?: number): string[] {
  const asRoot = process.getuid?.() === 0 ? ["--user=root"] : [];
  if (server.origin !== "docker") {
    return [...server.command, "--no-defaults", ...server.options, ...asRoot];
  }
  const container = `constancia-${basename(folder)}-${port ?? "setup"}-${process.pid}`;
  const publish = port === undefined ? [] : ["--publish", `127.0.0.1:${port}:3306`];
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return [
    ...["docker", "run", "--rm", "--name", container, "--user", user, ...publish],
    ...["--volume", `${folder}:${folder}`, "--entrypoint", "mysqld"],
    ...[...server.command, "--no-defaults", ...asRoot],
  ];
}

/** Finds a program as a shell would. */
export function findProgram(name: string, moreFolders: string[] = []): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...moreFolders];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Whether a Docker daemon answers, not only whether the client is installed. */
export function isDockerRunning(): boolean {
  try {
    execFileSync("docker", ["info"], { stdio: "ignore", timeout: 5_000 });
    return true;
  } catch {
    return false;
  }
}

/** An error as half a sentence: what a failed command said last, or its message. */
export function describe(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return stderr?.trim().split("\n").slice(-3).join(" ") || message || String(error);
}

function findInstalled(engine: Engine): Server | undefined {
  const program = findProgram(PROGRAMS[engine], MORE_PROGRAM_FOLDERS);
  if (!program) return undefined;
  try {
    const version = execFileSync(program, ["--no-defaults", "--version"], { encoding: "utf8" });
    // MariaDB, too, calls its server mysqld in places.
    if (version.includes("MariaDB") !== (engine === "mariadb")) return undefined;
  } catch {
    return undefined;
  }
  const home = join(realpathSync(program), "..", "..");
  const shares = [join(home, "share", "mariadb"), join(home, "share", "mysql")];
  const share = shares.find((folder) => existsSync(folder)) ?? "";
  return { engine, origin: "path", command: [program], options: [], share };
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
    origin: "packages",
    command: [loader, "--library-path", libraries.join(":"), join(home, "sbin", PROGRAMS[engine])],
    options: [
      `--basedir=${home}`,
      `--plugin-dir=${join(home, "lib", "mysql", "plugin")}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, "charsets")}`,
    ],
    share,
  };
}

function describeDocker(): Server {
  return { engine: "mysql", origin: "docker", command: [DOCKER_IMAGE], options: [], share: "" };
}
