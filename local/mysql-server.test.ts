import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { createConnection } from "mysql2/promise";
import { startMysql } from "./mysql.ts";
import { prepareData } from "./mysql-data.ts";
import {
  findContainer,
  findDownloaded,
  findInstalled,
  findPackaged,
  SERVER_SOURCES,
  type Server,
} from "./mysql-server.ts";
import { findAnyPort } from "./ports.ts";

const ENGINES_FOLDER = join(import.meta.dirname, "..", ".local", "engines");
const OPTIONS = { engine: "mysql", enginesFolder: ENGINES_FOLDER, say: () => {} } as const;

/**
 * What a machine does that is neither Debian nor Ubuntu. Docker's daemon and the host of MySQL's
 * binaries are stood in for: both stand-ins end in a real server of this machine.
 */
describe("a machine without a MySQL of its own", () => {
  let folder: string;
  let real: Server | undefined;
  const path = process.env.PATH;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "mysql-sources-"));
    for (const source of [findInstalled, findPackaged])
      for await (const server of source(OPTIONS)) real ??= server;
    process.env.PATH = `${folder}${delimiter}${path}`;
  });
  after(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true, force: true });
  });

  /** A shell script that ends as the real server. */
  function writeProgram(name: string, before: string, options: string): void {
    const command = [...(real?.command ?? []), "--no-defaults", ...(real?.options ?? [])];
    const quoted = command.map((part) => `'${part}'`).join(" ");
    const script = `#!/bin/sh\n${before}\nshift\nexec ${quoted} "$@" ${options}\n`;
    writeFileSync(join(folder, name), script, { mode: 0o755 });
  }

  it("tries what is installed, the packages, Docker and the download, in this order", () => {
    assert.deepEqual(SERVER_SOURCES, [findInstalled, findPackaged, findContainer, findDownloaded]);
  });

  it("runs Docker's image, on a port of this machine", async (test) => {
    if (!real) return test.skip("there is no MySQL to stand in with");
    const docker = `
      [ "$1" = info ] && exit 0
      while [ "$1" != mysql:8.4 ]; do
        [ "$1" = --publish ] && port=$(echo "$2" | cut -d: -f2)
        shift
      done
      shift`;
    writeProgram("docker", docker, `--port="\${port:-3306}" --socket=${join(folder, "socket")}`);
    const data = join(folder, "data");
    const port = () => {
      assert.ok(existsSync(join(data, "data")), "a port is chosen once the server is there");
      return findAnyPort();
    };
    const options = { ...OPTIONS, folder: data, port };
    const mysql = await startMysql({ ...options, sources: [findContainer] });
    try {
      const connection = await createConnection(mysql.url);
      const [rows] = await connection.query("SELECT @@port AS port, @@datadir AS folder");
      assert.deepEqual(rows, [{ port: mysql.port, folder: `${join(data, "data")}/` }]);
      await connection.end();
    } finally {
      await mysql.stop();
    }
  });

  it("has mysql-memory-server download MySQL's own binaries, and runs those", async (test) => {
    if (!real) return test.skip("there is no MySQL to stand in with");
    // The first argument is --no-defaults, or an option of the package's own start, which fails.
    writeProgram("mysqld", '[ "$1" = --no-defaults ] || exit 1', "");
    const host = join(folder, "host.mjs");
    writeFileSync(host, standInHost(join(folder, "mysqld"), folder));
    process.env.NODE_OPTIONS = `--import ${host}`;
    process.env.PATH = path;
    const said: string[] = [];
    const own = { ...OPTIONS, enginesFolder: folder, say: (line: string) => said.push(line) };
    try {
      const servers = await Array.fromAsync(findDownloaded(own));
      assert.equal(servers.length, 1, said.join());
      const [program = ""] = servers[0]?.command ?? [];
      assert.ok(program.startsWith(join(folder, "download")), program);
      const { stdout } = await promisify(execFile)(program, ["--no-defaults", "--version"]);
      assert.match(stdout, /Ver \d/);
      assert.equal(said[0], "downloading MySQL's own binaries (once, about 100 MB)");
    } finally {
      delete process.env.NODE_OPTIONS;
    }
  });

  it("says in a sentence what to install where nothing can be downloaded", async () => {
    const data = mkdtempSync(join(folder, "nothing-"));
    await assert.rejects(
      prepareData({ ...OPTIONS, folder: data, sources: [] }),
      /^Error: no MySQL server could be found or fetched\. Install the package mysql-server /,
    );
  });
});

/** Answers requests to MySQL's host with an archive that holds the program as its mysqld. */
function standInHost(program: string, folder: string): string {
  return `
    import { execFileSync } from "node:child_process";
    import { createReadStream, cpSync, mkdirSync } from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    import https from "node:https";
    import { basename, join } from "node:path";
    import { EventEmitter } from "node:events";
    https.get = (url, ...rest) => {
      if (new URL(url).hostname !== "cdn.mysql.com") throw new Error("another host: " + url);
      const name = basename(url).replace(/\\.(tar\\..*|zip)$/, "");
      mkdirSync(join("${folder}", name, "bin"), { recursive: true });
      cpSync("${program}", join("${folder}", name, "bin", "mysqld"));
      const archive = join("${folder}", "archive.tar");
      execFileSync("tar", ["-cf", archive, "-C", "${folder}", name]);
      const answer = Object.assign(createReadStream(archive), { statusCode: 200, headers: {} });
      setImmediate(() => rest.at(-1)(answer));
      return Object.assign(new EventEmitter(), { destroy() {}, end: (done) => done() });
    };
    syncBuiltinESMExports();
  `;
}
