import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Say, withProgress } from "./processes.ts";

/** The newest of MySQL's long-term release that the package knows for this machine. */
const VERSION = "8.4.x";
/** mysql-memory-server downloads a server, starts it once on data of no use, and stops it. */
const PROGRAM = `
  import { createDB } from "mysql-memory-server";
  const options = { version: "${VERSION}", ignoreUnsupportedSystemVersion: true, downloadRetries: 2 };
  await (await createDB({ ...options, xEnabled: "OFF" })).stop();
`;

const run = promisify(execFile);

/**
 * Has mysql-memory-server download MySQL's own binaries, once; returns the path of mysqld. The
 * package keeps everything in the folder for temporary files, which is set to a folder of `.local`.
 */
export async function downloadMysql(folder: string, say: Say): Promise<string> {
  const find = () => globSync(join(folder, "mysqlmsn", "binaries", "*", "mysql", "bin", "mysqld"));
  if (find().length === 0) {
    say("downloading MySQL's own binaries (once, about 100 MB)");
    await mkdir(folder, { recursive: true });
    const args = ["--input-type=module", "--eval", PROGRAM];
    const options = { cwd: import.meta.dirname, env: { ...process.env, TMPDIR: folder } };
    const download = run(process.execPath, args, options).catch((error) => {
      // Its own start may fail where the download did not; what counts is whether mysqld is there.
      if (find().length === 0) throw error;
    });
    await withProgress(say, "downloading MySQL's own binaries", download);
  }
  const [program] = find();
  if (!program) throw new Error(`mysql-memory-server left no mysqld in ${folder}`);
  return program;
}
