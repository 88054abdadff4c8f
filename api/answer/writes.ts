import type { Request, Response } from "express";
import type { Collection } from "../../common/collection.ts";
import type { Item } from "../../common/item-check.ts";
import { mustFindItem } from "../../common/owner.ts";
import type { OutcomeCode } from "../../common/receipts.ts";
import { isConditional, type Write } from "../../common/write.ts";
import type { Settled } from "../receipt-waits.ts";
import { formatEntityTag } from "../request/condition-headers.ts";
import type { Prefer } from "../request/parameters.ts";
import { sendJson } from "./json.ts";
import { getProblemName, Problem, type ProblemName } from "./problem.ts";

/** A settled write, with the current item where the answer shows it. */
export type SettledWithItem = Settled & { item?: Item | null };

/** Whether the answer shows the current item: of a write that has changed nothing. */
export function showsCurrentItem({ receipt: { outcome }, row }: Settled): boolean {
  return row?.deletedAt === null && (outcome === "superseded" || outcome === "duplicate");
}

/** One record's result: accepted or settled with its id, write and receipt, or a problem. */
export type RecordResult = {
  status: number;
  id?: string;
  write?: string;
  receipt?: string;
  outcome?: string;
  [member: string]: unknown;
};

/** 202: Pub/Sub holds the write. The body and the Link header name its receipt. */
export function answerAccepted(response: Response, write: Write, prefer: Prefer): void {
  const receipt = setHeaders(response, write, prefer);
  response.status(202);
  if (prefer.isMinimal) response.end();
  else sendJson(response, { id: write.itemId, write: write.id, status: "accepted", receipt });
}

/** Answers a settled write to a client that waited for it. */
export function answerSettled(
  response: Response,
  write: Write,
  settled: SettledWithItem,
  prefer: Prefer,
): void {
  // The headers are set first: a problem that is thrown below has them too, as the write was accepted.
  const receipt = setHeaders(response, write, prefer);
  const { status, item, version } = judgeSettled(write, settled, receipt);
  if (version) response.set("ETag", formatEntityTag(version));
  if (item && !prefer.isMinimal) sendJson(response.status(status), item);
  else response.status(item && status === 200 ? 204 : status).end();
}

/**
 * Answers many records: 202 where all are accepted, 200 where all are settled without a problem,
 * 207 where they differ; a problem with all results where none was accepted.
 */
export function answerBulk(
  response: Response,
  results: readonly RecordResult[],
  prefer: Prefer,
): void {
  const statuses = new Set(results.map(({ status }) => status));
  const isRefused = (status: number) => status >= 400;
  if (results.every(({ status, write }) => isRefused(status) && write === undefined))
    throw toBulkProblem(results);
  const isMixed = [...statuses].some(isRefused) || (statuses.has(202) && statuses.size > 1);
  const status = isMixed ? 207 : statuses.has(202) ? 202 : 200;
  if (prefer.applied.length > 0) response.set("Preference-Applied", prefer.applied.join(", "));
  response.status(status);
  if (prefer.isMinimal && status !== 207) response.end();
  else sendJson(response, { results });
}

/**
 * The problem of a request with no accepted record: a server's error if there is one, or else the
 * problem that all records share, or else `invalid-item`.
 */
function toBulkProblem(results: readonly RecordResult[]): Problem {
  const names = new Set(results.map(({ type }) => getProblemName(type as string)));
  const [first, ...others] = names;
  const shared = first !== undefined && others.length === 0 ? first : "invalid-item";
  const serverError = (["unavailable", "internal"] as const).find((name) => names.has(name));
  const detail = serverError ? "No record is known to be accepted." : "No record was accepted.";
  return new Problem(serverError ?? shared, detail, { members: { results } });
}

/** The result of an accepted record of a bulk request. */
export function toAcceptedResult(request: Request, write: Write): RecordResult {
  const item = getItemPath(request, write.collection, write.itemId);
  const receipt = getReceiptPath(item, write.id);
  return { status: 202, id: write.itemId, write: write.id, receipt };
}

/** The result of a settled record of a bulk request whose client waited. */
export function toSettledResult(request: Request, write: Write, settled: Settled): RecordResult {
  const accepted = toAcceptedResult(request, write);
  try {
    const { status } = judgeSettled(write, settled, accepted.receipt);
    return { ...accepted, status, outcome: settled.receipt.outcome };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ...accepted, ...error.toJSON(), outcome: settled.receipt.outcome } as RecordResult;
  }
}

/**
 * Status and item of a settled write: the item that it stored, where it was applied; else the
 * current one. Throws a Problem where the write was refused, or there is no item.
 */
function judgeSettled(
  write: Write,
  { receipt: { outcome, code, reason, created }, row, item: current }: SettledWithItem,
  receipt: string | undefined,
): { status: number; item?: Record<string, unknown>; version?: string } {
  if (outcome === "applied") {
    if (write.kind === "delete") return { status: 204 };
    const { owner } = write.collection;
    // Whoever has written it, an item keeps its owner.
    const isCurrent = row?.version === write.id;
    const own = owner !== undefined && isCurrent && row.owner ? { [owner]: row.owner } : {};
    const item = { id: write.itemId, ...write.item, ...own };
    // Unknown where an earlier release settled it; an applied create has always created its item.
    const isNew = created ?? write.kind === "create";
    return { status: isNew ? 201 : 200, item, version: write.id };
  }
  const problems: Partial<Record<typeof outcome, ProblemName>> = {
    conflict: nameConflict(write, code),
    dead: "dead-write",
  };
  const problem = problems[outcome];
  if (problem) throw new Problem(problem, reason ?? outcome, { members: { receipt } });
  if (row?.deletedAt !== null)
    throw new Problem(
      "deleted",
      row?.isExpired ? "The item has expired." : "The item was deleted.",
    );
  return { status: 200, item: { id: row.id, ...current }, version: row.version };
}

function nameConflict(write: Write, code: OutcomeCode | null): ProblemName {
  if (code === "not-owner") return code;
  if (code === "expired") return "conflict";
  if (isConditional(write)) return "failed-precondition";
  return mustFindItem(write) ? "not-found" : "conflict";
}

/** The path of an item, below the base URL that the collections are mounted at. */
export function getItemPath({ baseUrl }: Request, collection: Collection, itemId: string): string {
  return `${baseUrl}/${collection.name}/${itemId}`;
}

/** The path of the receipt of a write. */
export function getReceiptPath(itemPath: string, write: string): string {
  return `${itemPath}/writes/${write}`;
}

/** Sets the headers of an accepted write; returns the path of its receipt. */
function setHeaders(response: Response, write: Write, prefer: Prefer): string {
  const item = getItemPath(response.req, write.collection, write.itemId);
  const receipt = getReceiptPath(item, write.id);
  // RFC 8631: the status of what this answer is about.
  response.setHeader("Link", `<${receipt}>; rel="status"`);
  if (write.kind === "create") response.setHeader("Location", item);
  if (prefer.applied.length > 0) response.set("Preference-Applied", prefer.applied.join(", "));
  return receipt;
}
