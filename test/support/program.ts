import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

/** Less than a test may take (local/test.ts), so that what was printed until then is seen. */
const DEADLINE_MS = 12 * 60_000;

/** Runs one of the project's own programs to its end. */
export async function runProgram(
  file: string,
  args: readonly string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(ROOT, file), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const timer = setTimeout(() => {
    output += `\nended: it ran for more than ${DEADLINE_MS} ms\n`;
    child.kill("SIGTERM");
  }, DEADLINE_MS);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code, output };
}
