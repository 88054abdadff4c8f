import type { Response } from "express";
import type { Prefer } from "./headers.ts";
import { Problem } from "./problem.ts";

/** One record's result: accepted or settled with its id, write and receipt, or a problem. */
export type RecordResult = {
  status: number;
  id?: string;
  write?: string;
  receipt?: string;
  outcome?: string;
  [member: string]: unknown;
};

/**
 * Answers many records: 202 where all are accepted, 200 where all are settled well, 207 where
 * they differ; a problem with all results where none was accepted.
 */
export function bulkAnswer(
  response: Response,
  results: readonly RecordResult[],
  prefer: Prefer,
): void {
  const statuses = new Set(results.map(({ status }) => status));
  const isRefused = (status: number) => status >= 400;
  if (results.every(({ status, write }) => isRefused(status) && write === undefined)) {
    const isPressure = results.some(({ status }) => status === 503);
    throw new Problem(isPressure ? "unavailable" : "invalid-item", "No record was accepted.", {
      members: { results },
    });
  }
  const isMixed = [...statuses].some(isRefused) || (statuses.has(202) && statuses.size > 1);
  const status = isMixed ? 207 : statuses.has(202) ? 202 : 200;
  if (prefer.applied.length > 0)
    response.setHeader("Preference-Applied", prefer.applied.join(", "));
  response.status(status);
  if (prefer.isMinimal && status !== 207) response.end();
  else response.json({ results });
}
