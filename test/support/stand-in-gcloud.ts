import { chmodSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type Application, CommandError } from "./stand-in-application.ts";
import { parseCommand, perform } from "./stand-in-gcloud-commands.ts";

/**
 * Installs a `gcloud` in `folder` that works on the application. The program there is a few lines
 * of shell that ask this process, because a rollout calls gcloud hundreds of times. It is as strict
 * as gcloud with flags, names, versions that have traffic and first deployments.
 */
export async function installStandInGcloud(folder: string, application: Application) {
  const server = createServer((socket) => void serve(socket, application));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const file = join(folder, "gcloud");
  writeFileSync(
    file,
    `#!/usr/bin/env bash
exec 3<>/dev/tcp/127.0.0.1/${port} || exit 1
printf '%s\\n' "$PPID" "$@" "" >&3
read -r status <&3
[ "$status" = 0 ] && exec cat <&3
cat <&3 >&2
exit "$status"
`,
  );
  chmodSync(file, 0o755);
  return server;
}

type Reply = { status: number; text: string };

/** One call: the caller's process id, the arguments, an empty line. */
function serve(socket: Socket, application: Application): void {
  let text = "";
  socket.on("error", () => {});
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    if (!text.endsWith("\n\n")) return;
    const [caller = "", ...args] = text.slice(0, -2).split("\n");
    const { status, text: answer } = run(application, args, Number(caller));
    socket.end(`${status}\n${answer}`);
  });
}

/** Runs one command as the plan says: it may fail before or after it took effect, or end the caller. */
function run(application: Application, args: string[], caller: number): Reply {
  application.calls.push(args);
  const number = application.calls.length;
  const fault = application.plan.faults?.find(
    ({ at, from, matching }) =>
      at === number ||
      (from ?? Infinity) <= number ||
      (matching && args.join(" ").includes(matching)),
  );
  const kill = (signal: NodeJS.Signals) => process.kill(caller, signal);
  const command = parseCommand(args);
  try {
    if (fault?.kind === "kill-before") kill("SIGKILL");
    if (fault?.kind === "kill-before" || fault?.kind === "fail")
      throw new CommandError("the plan says so");
    // Ends the caller between the two services that one command deploys.
    const afterService = fault?.kind === "kill-between" ? () => kill("SIGKILL") : () => {};
    const answer =
      fault?.kind === "ignore" ? undefined : perform(application, command, afterService);
    if (fault?.kind === "kill-after") kill("SIGKILL");
    if (fault?.kind === "signal") kill(fault.signal ?? "SIGINT");
    if (fault?.kind === "fail-after") throw new CommandError("it took effect all the same");
    if (fault?.kind === "garbage") return { status: 0, text: "no JSON at all" };
    return { status: 0, text: answer === undefined ? "" : JSON.stringify(answer) };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const place = command.name.replaceAll(" ", ".");
    return { status: 1, text: `ERROR: (gcloud.${place}) ${error.message}\n` };
  }
}
