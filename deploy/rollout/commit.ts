import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Failure } from "./failure.ts";

const execute = promisify(execFile);

/** The commit that is checked out. A version is named after it, so no file may differ from it. */
export async function readCommit(): Promise<string> {
  const changed = await git("status", "--porcelain", "--untracked-files=no");
  if (changed !== "")
    throw new Failure(
      "There are uncommitted changes, but the version is named after the commit. Commit first.",
    );
  return (await git("rev-parse", "HEAD")).slice(0, 7);
}

async function git(...args: string[]): Promise<string> {
  try {
    const { stdout } = await execute("git", args, { cwd: import.meta.dirname });
    return stdout.trim();
  } catch {
    throw new Failure(`git ${args[0]} failed. Without git, use --version NAME.`);
  }
}
