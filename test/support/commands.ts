import { PassThrough, Readable } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { type Program, runInTerminal } from "../../ops/terminal.ts";

/**
 * Runs a command in this process, which costs less than a process of its own. It sees `env` alone;
 * so does all else in this process meanwhile, which must read no variable then.
 */
export async function runInProcess(
  program: Program,
  args: string[],
  { env, input = "" }: { env: NodeJS.ProcessEnv; input?: string },
): Promise<{ status: number; out: string; err: string }> {
  const own = process.env;
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const output = Promise.all([readText(stdout), readText(stderr)]);
  process.env = env;
  try {
    const stdin = Readable.from([Buffer.from(input)]);
    const status = await runInTerminal(program, args, { stdin, stdout, stderr });
    stdout.end();
    stderr.end();
    const [out, err] = await output;
    return { status, out, err };
  } finally {
    process.env = own;
  }
}
