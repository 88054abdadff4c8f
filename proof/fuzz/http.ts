import fc from "fast-check";
import { ClaimLog } from "../answers/claims.ts";
import { MEMORY_LIMIT_MB } from "../cluster/check.ts";
import { peakMb } from "../support/process-usage.ts";
import { type Answer, closeConnections, type Sent, send, sendBytes } from "../support/raw-http.ts";
import { recordFuzzed } from "./answers.ts";
import { anyBytes } from "./bytes.ts";
import type { FuzzEnvironment, Target } from "./environment.ts";
import { type Confirmed, judge, judgeBytes, readConfirmed } from "./judge.ts";
import { KNOWN_ITEM, KNOWN_RECEIPT, KNOWN_WRITE, nearRequest } from "./requests.ts";

/** Requests sent at once, so that they share batches; a failure shrinks to one. */
const TOGETHER = 32;
/** Batches of one seed; a failure is repeated with no more than these before it. */
const RUNS_OF_A_SEED = 40;
/** The share of connections that carry arbitrary bytes. */
const BYTES_SHARE = 0.25;
/** The smallest heap seen in a quarter of a run is its live heap; it may grow by this. */
const HEAP_GROWTH_BYTES = 16 * 1024 * 1024;
/** Fewer samples say nothing about growth. */
const HEAP_SAMPLES = 400;
/** A write that was never accepted, used until one was. */
const OLD_WRITE = "01968b3e-7c00-7000-8000-0123456789ab";
const NO_RECEIPT = `/api/data/a/writes/${OLD_WRITE}`;

export type Result = {
  sent: number;
  seconds: number;
  statuses: Record<string, number>;
  /** Writes that the API confirmed to clients. */
  confirmed: number;
  /** What answers said of items, judged at the end. */
  claims: number;
  peakMb: number;
  /** The smallest heap of the open API in the second and in the last quarter of the run. */
  heapMb: [second: number, last: number];
  /** Each in a sentence, or in a report of fast-check with its seed. */
  faults: string[];
};

type Batch = { isGuarded: boolean; shots: Shot[] };
type Shot = { bytes: string[] } | { sent: Sent };

/** Sends requests until enough are sent or something is wrong. */
export async function fuzz(options: {
  environment: FuzzEnvironment;
  seed: number;
  requests: number;
  onProgress?: (sent: number) => void;
}): Promise<Result> {
  const { environment, requests, onProgress } = options;
  const startedAt = performance.now();
  const claims = new ClaimLog();
  const run = { sent: 0, statuses: {} as Record<string, number>, heaps: [] as number[], claims };
  const shots = fc.record({
    isGuarded: fc.nat(4).map((number) => number === 0),
    shots: fc.array(oneShot(environment), { minLength: 1, maxLength: TOGETHER, size: "max" }),
  });
  const property = fc.asyncProperty(shots, async ({ isGuarded, shots: together }) => {
    const target = environment.targets[isGuarded ? 1 : 0];
    const faults = await Promise.all(together.map((shot) => fire(environment, target, shot, run)));
    run.sent += together.length;
    onProgress?.(run.sent);
    const all = [...faults.flat(), ...(await checkCount(target, run.heaps))];
    if (all.length > 0) throw new Error(all.slice(0, 5).join("\n"));
  });
  const faults: string[] = [];
  for (let seed = options.seed; run.sent < requests && faults.length === 0; seed += 1) {
    const details = await fc.check(property, { seed, numRuns: RUNS_OF_A_SEED });
    if (!details.failed) continue;
    faults.push(describeFailure(seed, details));
  }
  const heapMb = liveHeaps(run.heaps);
  faults.push(...(await checkEnd(environment, run.heaps.length, heapMb)));
  faults.push(...(await environment.judgeAnswers(claims)));
  closeConnections();
  return {
    sent: run.sent,
    seconds: (performance.now() - startedAt) / 1_000,
    statuses: run.statuses,
    confirmed: environment.targets.reduce(
      (sum, { confirmed }) => sum + confirmed.receipts.length + confirmed.unnamed,
      0,
    ),
    claims: claims.kept,
    peakMb: Math.max(...environment.processes.map(({ child }) => peakMb(child.pid)), 0),
    heapMb,
    faults,
  };
}

/** The command that repeats it, what was wrong, and the smallest batch that fails. */
function describeFailure(seed: number, details: fc.RunDetails<[Batch]>): string {
  const smallest = fc.stringify(details.counterexample).replaceAll(/(.)\1{40,}/g, "$1…$1");
  const error = details.errorInstance as Error | null;
  return `npm run proof -- fuzz --seed ${seed} --requests 1\n${error?.message}\n${smallest}`;
}

function oneShot(environment: FuzzEnvironment): fc.Arbitrary<Shot> {
  const near = nearRequest(environment.document).map((sent): Shot => ({ sent }));
  const bytes = anyBytes.map((parts): Shot => ({ bytes: parts }));
  return fc.oneof(
    { weight: 100 * (1 - BYTES_SHARE), arbitrary: near },
    { weight: 100 * BYTES_SHARE, arbitrary: bytes },
  );
}

type Run = { statuses: Record<string, number>; claims: ClaimLog };

/** Sends one and notes the writes that its answer confirms; returns what is wrong with the answer. */
async function fire(
  environment: FuzzEnvironment,
  target: Target,
  shot: Shot,
  run: Run,
): Promise<string[]> {
  const count = ({ status }: Answer) => {
    run.statuses[status] = (run.statuses[status] ?? 0) + 1;
  };
  try {
    if ("bytes" in shot) {
      const { answers } = await sendBytes(target.api.url, shot.bytes);
      // Which request an answer belongs to is unknown; a receipt can be read all the same.
      const anyWrite = { method: "POST", target: "", headers: [], body: undefined };
      for (const answer of answers) {
        count(answer);
        if (/receipt/.test(answer.text)) keep(target.confirmed, readConfirmed(anyWrite, answer));
      }
      return answers.flatMap((answer) => judgeBytes(environment.document, answer));
    }
    const sent = withKey(target, fillIn(shot.sent, target.confirmed.receipts));
    const fromMs = performance.now();
    const answer = await send(target.api.url, sent);
    const times = { fromMs, toMs: performance.now() };
    count(answer);
    keep(target.confirmed, readConfirmed(sent, answer));
    const faults = recordFuzzed(run.claims, { sent, answer }, times);
    return [...judge(environment.document, sent, answer), ...faults];
  } catch (error) {
    const what = "sent" in shot ? `${shot.sent.method} ${shot.sent.target}` : "bytes";
    return [`${what}: no answer: ${(error as Error).message}`];
  }
}

/** Replaces the placeholders by a confirmed write. */
function fillIn(sent: Sent, receipts: readonly string[]): Sent {
  const receipt = receipts.at(-1 - (sent.target.length % 8)) ?? NO_RECEIPT;
  const [, item = "", write = ""] = /\/([^/]+)\/writes\/([^/]+)$/.exec(receipt) ?? [];
  const target = sent.target
    .replace(KNOWN_RECEIPT, receipt)
    .replaceAll(KNOWN_ITEM, item)
    .replaceAll(KNOWN_WRITE, write);
  // Another item's version might still be in flight, and would be waited for.
  const version = receipt.startsWith(`${target}/`) ? write : OLD_WRITE;
  const headers = sent.headers.map(([name, value]): [string, string] => {
    return [name, value.replaceAll(KNOWN_WRITE, version)];
  });
  return { ...sent, target, headers };
}

/** Most requests to the guarded API have its key, or nothing behind it would be reached. */
function withKey({ name }: Target, sent: Sent): Sent {
  const isShown = sent.headers.some(([header]) => header === "authorization");
  if (name === "open" || isShown || sent.target.length % 4 === 0) return sent;
  return { ...sent, headers: [...sent.headers, ["authorization", "Bearer writer"]] };
}

function keep(confirmed: Confirmed, more: Confirmed): void {
  confirmed.receipts.push(...more.receipts);
  confirmed.unnamed += more.unnamed;
  confirmed.unknown += more.unknown;
}

/** The API accepted exactly the confirmed writes, and none that it refused. */
async function checkCount(target: Target, heaps: number[]): Promise<string[]> {
  const { name, confirmed } = target;
  try {
    const { accepted, heapBytes } = await target.figures();
    if (name === "open") heaps.push(heapBytes);
    const least = confirmed.receipts.length + confirmed.unnamed + target.found;
    if (accepted >= least && accepted <= least + confirmed.unknown) return [];
    target.found += accepted - least;
    return [`${accepted} writes accepted, ${least} confirmed, ${confirmed.unknown} unknown`];
  } catch (error) {
    return [`the ${name} API does not answer: ${(error as Error).message}`];
  }
}

async function checkEnd(
  environment: FuzzEnvironment,
  samples: number,
  [second, last]: Result["heapMb"],
): Promise<string[]> {
  const faults = await environment.findTraces();
  for (const one of environment.processes) {
    if (!isAlive(one)) faults.push(`a process exited by itself: ${one.output().slice(-500)}`);
    else if (peakMb(one.child.pid) > MEMORY_LIMIT_MB) faults.push("a process took too much memory");
    if (/a request failed/.test(one.output())) faults.push("the log says that a request failed");
  }
  if (samples >= HEAP_SAMPLES && (last - second) * 1024 * 1024 > HEAP_GROWTH_BYTES)
    faults.push(`the live heap grew from ${second} MB to ${last} MB`);
  return faults;
}

function isAlive({ child }: { child: { exitCode: number | null; signalCode: unknown } }): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** In MB, of the second and of the last quarter. */
function liveHeaps(heaps: readonly number[]): [number, number] {
  const quarter = Math.ceil(heaps.length / 4);
  const least = (some: readonly number[]) =>
    some.length === 0 ? 0 : Math.round(Math.min(...some) / 1024 / 1024);
  return [least(heaps.slice(quarter, 2 * quarter)), least(heaps.slice(-quarter))];
}
