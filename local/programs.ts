import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

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

/** An error as half a sentence: the last lines that a failed command printed, or its message. */
export function describeFailure(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return stderr?.trim().split("\n").slice(-3).join(" ") || message || String(error);
}
