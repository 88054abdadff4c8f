import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";

/** A command of an npm script: the program that it runs, and what it does, in a line. */
export type Command = { program: string; does: string };

/**
 * `npm run SCRIPT -- COMMAND [options]`: runs the command's program with the other arguments and ends
 * as it ends. Without a command, or with `--help`, lists the commands; an unknown command is
 * answered with that list and the exit status 2.
 */
export async function runCommand(
  script: string,
  commands: Readonly<Record<string, Command>>,
  [name = "--help", ...args]: readonly string[],
): Promise<number> {
  const help = describeCommands(script, commands);
  if (name === "--help" || name === "-h") {
    process.stdout.write(help);
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(`There is no command ${JSON.stringify(name)}.\n\n${help}`);
    return 2;
  }
  const { program } = command;
  const child = program.endsWith(".sh")
    ? spawn(program, args, { stdio: "inherit" })
    : spawn(process.execPath, [program, ...args], { stdio: "inherit" });
  // Ctrl-C in a terminal reaches the child by itself; a signal to this process alone does not.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => void child.kill(signal));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + constants.signals[signal as NodeJS.Signals];
}

function describeCommands(script: string, commands: Readonly<Record<string, Command>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const lines = Object.entries(commands).map(
    ([name, { does }]) => `  ${name.padEnd(width)}${does}`,
  );
  return `Usage: npm run ${script} -- COMMAND [options]

Commands:
${lines.join("\n")}

Run "npm run ${script} -- COMMAND --help" for the options of a command.
`;
}
