import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRandom } from "../../local/pubsub/faults.ts";
import { parseOptions, readChoice, readInteger, UsageError } from "../../ops/command-line.ts";
import { runProof } from "../support/command.ts";
import { startProgress } from "../support/progress.ts";
import { startServers } from "../support/servers.ts";
import { listMutants } from "./mutate.ts";
import { type Judged, printReport, type Target } from "./report.ts";
import { runTest, type TestResult } from "./run-test.ts";
import { createTestFinder, listImpureFiles, PURE, ROOT } from "./targets.ts";

const HELP = `npm run proof -- mutants [options]

Changes the code in one place at a time and runs the tests that should notice: every place of the
pure code by its unit tests, and a sample of the lines of the rest of api/, common/ and subscriber/
by the tests that reach them, on a MySQL and a local Pub/Sub. Fails where less than 85 % of the
changes are noticed, or one of the pure code is not that is not in proof/mutants/survivors.json.

  --part NAME  only pure, or only the sample
  --file PATH  only this file of the pure code; may be repeated
  --count N    lines of the sample (default: 60)
  --seed TEXT  which lines (default: 1)
  --jobs N     processes at a time (default: 2)
  --help       this text
`;

const PURE_LIMITS = { deadlineMs: 120_000, processorSeconds: 8 };
/** With a change, a unit test may take so much longer than the slowest of its file takes without. */
const PURE_DEADLINE = { factor: 5, moreMs: 10_000 };
const REAL_LIMITS = { deadlineMs: 120_000, processorSeconds: 60 };
/** All tests of one line of the sample; what none of them has noticed by then has survived. */
const LINE_MS = 150_000;
/** No further line of the sample is begun after this time, so that all ends within twenty minutes. */
const SAMPLE_MS = 15 * 60_000;

await runProof("mutants", async () => {
  const { values } = parseOptions({
    options: {
      part: { type: "string" },
      file: { type: "string", multiple: true },
      count: { type: "string", default: "60" },
      seed: { type: "string", default: "1" },
      jobs: { type: "string", default: "2" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const part = values.part && readChoice("part", values.part, ["pure", "sample"]);
  const files = part === "sample" ? [] : (values.file ?? Object.keys(PURE));
  const unknown = files.find((file) => !Object.hasOwn(PURE, file));
  if (unknown !== undefined)
    throw new UsageError(`${unknown} is not in the pure code: ${Object.keys(PURE).join(", ")}.`);
  const isSampled = part !== "pure" && !values.file;
  const count = isSampled ? readInteger("count", values.count, { min: 1 }) : 0;
  const jobs = readInteger("jobs", values.jobs);
  const startedAt = Date.now();
  const pure = await judgePure(files, jobs);
  const sample = count === 0 ? [] : await judgeSample(count, values.seed, jobs);
  return printReport({ pure, sample, count, files, seconds: (Date.now() - startedAt) / 1_000 });
});

/** All mutants of these files. */
async function judgePure(files: readonly string[], jobs: number): Promise<Judged[]> {
  const { env } = process;
  const targets: Target[] = [];
  const baseline = createBaseline(env);
  for (const file of files) {
    const tests = PURE[file] ?? [];
    const times: number[] = [];
    for (const test of tests) times.push((await baseline(test, PURE_LIMITS)).ms);
    const deadlineMs = PURE_DEADLINE.moreMs + PURE_DEADLINE.factor * Math.max(...times);
    for (const mutant of listFileMutants(file))
      targets.push({ ...mutant, file, tests, ...PURE_LIMITS, deadlineMs });
  }
  return judge(targets, { jobs, env, baseline });
}

/** One mutant of each of these lines, on servers of their own. */
async function judgeSample(count: number, seed: string, jobs: number): Promise<Judged[]> {
  const random = createRandom(`mutants ${seed}`);
  const pick = <T>(among: T[]) => among.splice(Math.floor(random() * among.length), 1)[0] as T;
  const lines = listImpureFiles().flatMap((file) => {
    const mutants = listFileMutants(file).map((mutant) => ({ ...mutant, file }));
    return [...Map.groupBy(mutants, ({ lineNumber }) => lineNumber).values()];
  });
  const findTests = createTestFinder();
  const sample = Array.from({ length: Math.min(count, lines.length) }, (): Target => {
    const mutant = pick(pick(lines));
    return { ...mutant, tests: findTests(mutant.file), ...REAL_LIMITS };
  });
  const servers = await startServers("mutants");
  const env = {
    ...process.env,
    TEST_ENGINE: "mysql",
    TEST_MYSQL_URL: servers.mysqlUrl,
    TEST_PUBSUB: "local",
    PUBSUB_EMULATOR_HOST: servers.pubsubHost,
    NODE_COMPILE_CACHE: join(ROOT, ".local", "compile-cache"),
  };
  const baseline = createBaseline(env);
  const judged = await judge(sample, { jobs, env, baseline, endMs: Date.now() + SAMPLE_MS });
  await servers.stop();
  return judged;
}

function listFileMutants(file: string) {
  return listMutants(readFileSync(join(ROOT, file), "utf8"));
}

/** Runs the tests of each target, `jobs` at a time, and shows how far it is. */
async function judge(
  targets: readonly Target[],
  options: { jobs: number; env: NodeJS.ProcessEnv; baseline: Baseline; endMs?: number },
): Promise<Judged[]> {
  const { jobs, endMs = Infinity } = options;
  const judged: Judged[] = [];
  const left = [...targets];
  const survived = () => judged.filter(({ result }) => result === "passed").length;
  const progress = startProgress(
    () => `mutants: ${judged.length} of ${targets.length} tried, ${survived()} survived`,
  );
  const work = async () => {
    for (let target = left.shift(); target && Date.now() < endMs; target = left.shift()) {
      const found = { ...target, result: await judgeOne(target, options) };
      judged.push(found);
      if (found.result === "passed")
        progress.say(`${found.file}:${found.lineNumber} survived: ${found.becomes}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  progress.end();
  return judged;
}

async function judgeOne(
  target: Target,
  { env, baseline }: { env: NodeJS.ProcessEnv; baseline: Baseline },
): Promise<TestResult> {
  const untilMs = Date.now() + LINE_MS;
  for (const test of target.tests) {
    if (Date.now() > untilMs) break;
    const result = await runTest(test, { ...target, env, change: target });
    if (result !== "passed" && (await baseline(test, target)).isSound) return result;
  }
  return "passed";
}

type Limits = { deadlineMs: number; processorSeconds: number };
type Baseline = (test: string, limits: Limits) => Promise<{ isSound: boolean; ms: number }>;

/** Runs each test once without a change; one that does not pass then has noticed nothing. */
function createBaseline(env: NodeJS.ProcessEnv): Baseline {
  const known = new Map<string, ReturnType<Baseline>>();
  const run = async (test: string, { deadlineMs, processorSeconds }: Limits) => {
    const startedAt = performance.now();
    const isSound = (await runTest(test, { env, deadlineMs, processorSeconds })) === "passed";
    if (!isSound) console.log(`${test} fails without a change, and is left out`);
    return { isSound, ms: performance.now() - startedAt };
  };
  return (test, limits) => {
    const found = known.get(test) ?? run(test, limits);
    known.set(test, found);
    return found;
  };
}
