import type { Request, RequestHandler, Response } from "express";
import { type Collection, checkItem, type Item } from "../common/collection.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { computeFingerprint, ITEM_ID, type Write, type WriteKind } from "../common/write.ts";
import { deriveItemId, getWriteTime, mintWriteId } from "../common/write-id.ts";
import { type Body, type BodyRecord, parseBody, readBody, skipBody } from "./body.ts";
import { bulkAnswer, type RecordResult } from "./bulk.ts";
import { findCollection, readItemId } from "./collections.ts";
import {
  type Condition,
  type Prefer,
  readCondition,
  readIdempotencyKey,
  readPrefer,
  refuseCondition,
  refuseUnknownParameters,
} from "./headers.ts";
import { checkCondition, checkReusedKey } from "./preconditions.ts";
import { Problem } from "./problem.ts";
import { internalProblem } from "./problem-handler.ts";
import type { Publisher } from "./publisher.ts";
import type { Reader } from "./reader.ts";
import { awaitReceipt } from "./receipts.ts";
import { getContext } from "./request-context.ts";
import { COLLECTION, ITEM } from "./routes.ts";
import { acceptedResult, answerAccepted, answerSettled, settledResult } from "./write-answers.ts";

/** What the routes of writes need. `stop` ends their waiting when the process ends. */
export type WritesOptions = {
  collections: readonly Collection[];
  publisher: Publisher;
  reader: Reader;
  logger: Logger;
  stop: AbortSignal;
};

/** POST, PUT and DELETE. */
export function createWrites(options: WritesOptions): [string, ...RequestHandler[]][] {
  const { collections, publisher, reader, logger, stop } = options;
  const create: RequestHandler = (request, response) => {
    refuseCondition(request, "POST");
    return submit(request, response, "create");
  };
  const put: RequestHandler = (request, response) => submit(request, response, "put");
  const putItem: RequestHandler = (request, response) =>
    submit(request, response, "put", readItemId(request));
  const deleteItem: RequestHandler = (request, response) =>
    submit(request, response, "delete", readItemId(request));
  return [
    [`POST ${COLLECTION}`, readBody, create],
    [`PUT ${COLLECTION}`, readBody, put],
    [`PUT ${ITEM}`, readBody, putItem],
    [`DELETE ${ITEM}`, skipBody, deleteItem],
  ];

  async function submit(
    request: Request,
    response: Response,
    kind: WriteKind,
    pathId?: string,
  ): Promise<void> {
    refuseUnknownParameters(request);
    const collection = findCollection(collections, request);
    const prefer = readPrefer(request);
    const condition = kind === "create" ? {} : readCondition(request);
    const key = kind === "create" ? readIdempotencyKey(request) : undefined;
    const body: Body = kind === "delete" ? { single: undefined } : parseBody(request);
    const common = { request, kind, collection, condition, key, pathId };
    if ("single" in body) {
      const write = await accept({ ...common, value: body.single });
      const waited = prefer.waitMs > 0 ? await waitFor(write, prefer) : undefined;
      if (waited) answerSettled(response, write, waited, prefer);
      else answerAccepted(response, write, prefer);
      return;
    }
    if (pathId !== undefined)
      throw new Problem("malformed-request", "Many records go to the collection's own address.");
    refuseCondition(request, "many records at once");
    bulkAnswer(response, await submitRecords(common, body.records, prefer), prefer);
  }

  function submitRecords(
    common: Omit<Draft, "value">,
    records: readonly BodyRecord[],
    prefer: Prefer,
  ): Promise<RecordResult[]> {
    const submitRecord = async (record: BodyRecord, place: number): Promise<RecordResult> => {
      try {
        if ("problem" in record) throw record.problem;
        const write = await accept({ ...common, value: record.value, place });
        const waited = prefer.waitMs > 0 ? await waitFor(write, prefer) : undefined;
        return waited ? settledResult(write, waited) : acceptedResult(write);
      } catch (error) {
        // Other records may be accepted already, so not even a fault of ours fails them all.
        const problem =
          error instanceof Problem ? error : internalProblem(logger, error, common.request);
        return problem.toJSON() as RecordResult;
      }
    };
    return Promise.all(records.map(submitRecord));
  }

  /** A record becomes a write that Pub/Sub holds, or a Problem. */
  async function accept(draft: Draft): Promise<Write> {
    const write = draftWrite(draft);
    if (write.ifMatch || write.ifNoneMatch) {
      const isSeen = await checkCondition(reader, write);
      if (write.ifMatch && write.ifMatch !== "*") {
        write.id = mintWriteId({ version: write.ifMatch, seen: isSeen });
        write.acceptedAt = getWriteTime(write.id);
      }
    }
    if (write.fingerprint) await checkReusedKey(reader, write);
    await publisher.publish(write, getContext(draft.request).requestId);
    return write;
  }

  function waitFor(write: Write, prefer: Prefer) {
    const { collection, itemId, id } = write;
    return awaitReceipt(reader, { collection, itemId, write: id }, prefer.waitMs, stop);
  }
}

type Draft = {
  request: Request;
  kind: WriteKind;
  collection: Collection;
  value: unknown;
  condition: Condition;
  key: string | undefined;
  pathId: string | undefined;
  /** Of the record in a bulk body. */
  place?: number;
};

function draftWrite(draft: Draft): Write {
  const { request, kind, collection, condition, key } = draft;
  const { traceparent, key: apiKey } = getContext(request);
  const { itemId, value } =
    kind === "put" ? takeItemId(draft) : { itemId: draft.pathId, value: draft.value };
  const item = kind === "delete" ? undefined : validItem(collection, value);
  const id = mintWriteId();
  const derived =
    key && deriveItemId([collection.name, apiKey?.name ?? "", key, draft.place ?? -1]);
  return {
    id,
    kind,
    collection,
    itemId: itemId ?? (derived || mintWriteId()),
    acceptedAt: getWriteTime(id),
    item,
    ...condition,
    fingerprint: key && item ? computeFingerprint(item) : undefined,
    traceparent,
  };
}

/** A put's item id, from the path or from the body's `id`; both only where they agree. */
function takeItemId({ value, pathId }: Draft): { itemId: string; value: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return { itemId: pathId ?? "", value };
  const { id, ...fields } = value as Record<string, unknown>;
  const fault = (detail: string) =>
    new Problem("invalid-item", `The id ${detail}`, {
      errors: [{ pointer: "/id", detail: detail.charAt(0).toUpperCase() + detail.slice(1) }],
    });
  if (id === undefined && pathId !== undefined) return { itemId: pathId, value: fields };
  if (id === undefined) throw fault("is required.");
  if (typeof id !== "string" || !ITEM_ID.test(id))
    throw fault("must have 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -");
  if (pathId !== undefined && pathId !== id) throw fault("is not the one in the address.");
  return { itemId: id, value: fields };
}

function validItem(collection: Collection, value: unknown): Item {
  const checked = checkItem(collection, value);
  if (checked.ok) return checked.item;
  const first = checked.errors[0];
  const count = checked.errors.length;
  throw new Problem(
    "invalid-item",
    count === 1
      ? `The item is not valid: ${first?.pointer || "the body"}: ${first?.detail}`
      : `The item is not valid in ${count} places.`,
    { errors: checked.errors },
  );
}
