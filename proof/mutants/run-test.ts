import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Change } from "./change.ts";
import { ROOT } from "./targets.ts";

/** A change to one of the sources. */
export type FileChange = Change & { file: string };

export type TestResult = "passed" | "failed" | "timed out";

export type TestOptions = {
  change?: FileChange;
  env: NodeJS.ProcessEnv;
  deadlineMs: number;
  /** Of processor time, so that a loop that a change made endless ends soon on a busy machine, too. */
  processorSeconds: number;
};

const HOOK = join(import.meta.dirname, "hook.ts");
const TEST_PROCESS = join(ROOT, "local", "test-process.ts");
const END_MS = 2_000;

/**
 * Runs a test file in a process of its own, with the change if there is one, up to the first test
 * that fails.
 */
export async function runTest(
  test: string,
  { change, env, deadlineMs, processorSeconds }: TestOptions,
): Promise<TestResult> {
  const mutant = change && {
    url: pathToFileURL(join(ROOT, change.file)).href,
    start: change.start,
    end: change.end,
    code: change.code,
  };
  const args = [
    ...(change ? [`--import=${HOOK}`] : []),
    `--import=${TEST_PROCESS}`,
    "--disable-warning=ExperimentalWarning",
    "--test-reporter=tap",
    join(ROOT, test),
  ];
  const limited = `ulimit -S -t ${processorSeconds}; exec "$0" "$@"`;
  const child = spawn("/bin/sh", ["-c", limited, process.execPath, ...args], {
    cwd: ROOT,
    env: { ...env, MUTANT: JSON.stringify(mutant) },
    stdio: ["pipe", "pipe", "ignore"],
  });
  let result: TestResult | undefined;
  const end = (found: TestResult) => {
    if (result) return;
    result = found;
    // Its process then ends with all that it has started (local/test-process.ts).
    child.stdin.end();
    setTimeout(() => child.kill("SIGKILL"), END_MS).unref();
  };
  child.stdin.on("error", () => {});
  const timer = setTimeout(end, deadlineMs, "timed out");
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (/^ *not ok (?!.*# TODO)/m.test(text)) end("failed");
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once("close", (...ended) => resolve(ended)),
  );
  clearTimeout(timer);
  return result ?? (signal === "SIGXCPU" ? "timed out" : code === 0 ? "passed" : "failed");
}
