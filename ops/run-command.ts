import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";

/** A command of a room: the program that it runs, and what it does, in a line. */
export type Command = { program: string; does: string };

/**
 * `npm run ROOM -- NAME [options]`: runs the named command as a process of its own, with what is
 * left of the command line, and ends as it ends. `--help` lists the commands; a wrong name is
 * answered with the list and the exit status 2.
 */
export async function runCommand(
  room: string,
  commands: Readonly<Record<string, Command>>,
  [name = "--help", ...args]: readonly string[],
): Promise<number> {
  const help = describeCommands(room, commands);
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
  const [file, ...first] = program.endsWith(".sh") ? [program] : [process.execPath, program];
  const child = spawn(file as string, [...first, ...args], { stdio: "inherit" });
  // The terminal's Ctrl-C reaches the command too; a signal to this process alone is passed on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => void child.kill(signal));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + constants.signals[signal as NodeJS.Signals];
}

function describeCommands(room: string, commands: Readonly<Record<string, Command>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const lines = Object.entries(commands).map(
    ([name, { does }]) => `  ${name.padEnd(width)}${does}\n`,
  );
  return `npm run ${room} -- NAME [options]\n\n${lines.join("")}\nnpm run ${room} -- NAME --help tells a command's options.\n`;
}
