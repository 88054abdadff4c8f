import { setImmediate as nextTurn } from "node:timers/promises";
import type { Request } from "express";
import { LISTED_ERRORS, PUBLISH } from "../../common/limits.ts";
import { Problem } from "../answer/problem.ts";
import type { RecordResult } from "../answer/writes.ts";
import type { BodyRecord } from "../request/records.ts";

/** Bodies of more bytes are read one at a time, so that only one is in memory as JSON values. */
const LARGE_BYTES = 16 * 1024;
/** After this many records, some 15 ms, or this time, a request lets others go on. */
const SLICE = { records: PUBLISH.maxItems, ms: 50 };

/** Runs one function at a time. What runs only computes, and so needs no deadline. */
export function createMutex(): <Result>(run: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (run) => {
    const result = last.then(run);
    last = result.catch(() => {});
    return result;
  };
}

/** Whether a request's body is so large that it must be read by itself. */
export function isLarge({ body }: Request): boolean {
  return Buffer.isBuffer(body) && body.length > LARGE_BYTES;
}

/**
 * Starts `submit` for each record, with pauses in which other requests go on; resolves to the results
 * to come. A record that fails has its problem as its result, with as many of its errors as the whole
 * answer may still list.
 */
export async function startRecords(
  records: Iterable<BodyRecord>,
  submit: (value: unknown, index: number) => Promise<RecordResult>,
  toInternalProblem: (error: unknown) => Problem,
): Promise<Promise<RecordResult>[]> {
  const results: Promise<RecordResult>[] = [];
  let errorsLeft = LISTED_ERRORS.bulk;
  const fail = (error: unknown, line?: number): RecordResult => {
    // Other records may be accepted already, so an unexpected error fails only its own.
    const problem = error instanceof Problem ? error : toInternalProblem(error);
    const errors = problem.errors?.slice(0, errorsLeft);
    errorsLeft -= errors?.length ?? 0;
    return { ...(problem.toJSON() as RecordResult), ...(errors && { errors }), line };
  };
  // Not an async function, which would keep the record until its result is there.
  const start = (record: BodyRecord, index: number): Promise<RecordResult> => {
    const { line } = record;
    return "problem" in record
      ? Promise.resolve(fail(record.problem, line))
      : submit(record.value, index).catch((error) => fail(error, line));
  };
  let startedMs = performance.now();
  for (const record of records) {
    results.push(start(record, results.length));
    const isLong = performance.now() - startedMs >= SLICE.ms;
    if (results.length % SLICE.records > 0 && !isLong) continue;
    await nextTurn();
    startedMs = performance.now();
  }
  return results;
}
