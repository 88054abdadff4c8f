import { join } from "node:path";
import { AUDIENCE } from "./issuer/app.ts";
import { ALGORITHM } from "./issuer/signer.ts";
import { type LocalProcess, startProcess } from "./processes.ts";

const MAIN = join(import.meta.dirname, "issuer", "main.ts");
const STOP_DEADLINE_MS = 5_000;

/** The local issuer, a process of its own, and the API's settings by which its tokens are taken. */
export type LocalIssuer = { url: string; process: LocalProcess; OIDC_ISSUERS: string };

/**
 * Starts the local issuer, for development only. Its key is kept in the folder; its one-time codes are
 * printed, or written to a file.
 */
export async function startIssuer(options: {
  port: number;
  folder: string;
  logFile?: string;
}): Promise<LocalIssuer> {
  const { port, folder, logFile } = options;
  const url = `http://localhost:${port}`;
  const process_ = await startProcess({
    name: "the local issuer",
    command: [process.execPath, MAIN, `--port=${port}`, `--data=${folder}`],
    mark: `${MAIN} --port=${port}`,
    ...(logFile === undefined ? {} : { logFile }),
    stopDeadlineMs: STOP_DEADLINE_MS,
  });
  const issuer = {
    ...{ name: "local", issuer: url, audience: AUDIENCE, algorithms: [ALGORITHM] },
    ...{ scopes: ["*:read", "*:write"], scopeClaim: "scope" },
  };
  return { url, process: process_, OIDC_ISSUERS: JSON.stringify([issuer]) };
}
