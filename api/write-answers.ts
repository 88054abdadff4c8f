import type { Response } from "express";
import type { Receipt } from "../common/receipts.ts";
import type { Row } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { answerJson } from "./answer.ts";
import type { RecordResult } from "./bulk.ts";
import { entityTag, type Prefer } from "./headers.ts";
import { Problem, type ProblemName } from "./problem.ts";
import { receiptPath } from "./receipts.ts";

type Settled = { receipt: Receipt; row: Row | undefined };

/** 202: Pub/Sub holds the write; its receipt is where the body and the Link header say. */
export function answerAccepted(response: Response, write: Write, prefer: Prefer): void {
  const receipt = getReceipt(write);
  const headers = getHeaders(write, receipt, prefer);
  if (prefer.isMinimal) response.writeHead(202, headers).end();
  else {
    const body = { id: write.itemId, write: write.id, status: "accepted", receipt };
    answerJson(response, 202, body, headers);
  }
}

/** What a settled write is answered with where the client waited for it. */
export function answerSettled(
  response: Response,
  write: Write,
  settled: Settled,
  prefer: Prefer,
): void {
  const headers = getHeaders(write, getReceipt(write), prefer);
  // Now, so that a problem has them too: it tells of a write that was accepted.
  for (let place = 0; place < headers.length; place += 2)
    response.setHeader(headers[place] as string, headers[place + 1] as string);
  const { status, item, version } = judgeSettled(write, settled);
  if (version) response.setHeader("ETag", entityTag(version));
  const isShort = item && prefer.isMinimal && status === 200;
  if (item && !prefer.isMinimal) answerJson(response, status, item);
  else response.status(isShort ? 204 : status).end();
}

/** An accepted record of a bulk request. */
export function acceptedResult(write: Write): RecordResult {
  return {
    status: 202,
    id: write.itemId,
    write: write.id,
    receipt: getReceipt(write),
  };
}

/** A settled record of a bulk request whose client waited. */
export function settledResult(write: Write, settled: Settled): RecordResult {
  const accepted = acceptedResult(write);
  try {
    const { status } = judgeSettled(write, settled);
    return { ...accepted, status, outcome: settled.receipt.outcome };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ...accepted, ...error.toJSON(), outcome: settled.receipt.outcome } as RecordResult;
  }
}

/**
 * Status and item of a settled write: what it stored, where it was applied; else the item as it
 * stands. Throws a Problem where the write was refused or nothing is there.
 */
function judgeSettled(
  write: Write,
  { receipt, row }: Settled,
): { status: number; item?: Record<string, unknown>; version?: string } {
  const { outcome, reason } = receipt;
  if (outcome === "applied") {
    if (write.kind === "delete") return { status: 204 };
    const isNew = write.kind === "create" || row?.createdAt === write.acceptedAt;
    const item = { id: write.itemId, ...write.item };
    return { status: isNew ? 201 : 200, item, version: write.id };
  }
  const isConditional = write.ifMatch !== undefined || write.ifNoneMatch === true;
  const problems: Partial<Record<typeof outcome, ProblemName>> = {
    conflict: isConditional ? "failed-precondition" : "conflict",
    dead: "dead-write",
  };
  const problem = problems[outcome];
  if (problem)
    throw new Problem(problem, reason ?? outcome, {
      members: { receipt: getReceipt(write) },
    });
  if (!row?.item) throw new Problem("deleted", "The item was deleted.");
  return { status: 200, item: { id: row.id, ...row.item }, version: row.version };
}

function getReceipt({ collection, itemId, id }: Write): string {
  return receiptPath({ collection, itemId, write: id });
}

/** Names and values in turn. */
function getHeaders(write: Write, receipt: string, prefer: Prefer): string[] {
  // RFC 8631: the status of what this answer is about.
  const headers = ["Link", `<${receipt}>; rel="status"`];
  if (write.kind === "create")
    headers.push("Location", `/api/${write.collection.name}/${write.itemId}`);
  if (prefer.applied.length > 0) headers.push("Preference-Applied", prefer.applied.join(", "));
  return headers;
}
