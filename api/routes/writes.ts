import type { Request, RequestHandler, Response } from "express";
import { type Collection, checkItem, formatErrors, type Item } from "../../common/collection.ts";
import { isObject, RepeatedKey } from "../../common/json.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { computeFingerprint, ITEM_ID, type Write, type WriteKind } from "../../common/write.ts";
import { deriveItemId, getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { internalProblem } from "../answer/errors.ts";
import { malformed, Problem } from "../answer/problem.ts";
import {
  answerAccepted,
  answerBulk,
  answerSettled,
  type RecordResult,
  toAcceptedResult,
  toSettledResult,
} from "../answer/writes.ts";
import type { Publisher } from "../publisher.ts";
import type { Reader } from "../reader.ts";
import type { ReceiptWaits } from "../receipt-waits.ts";
import { type Body, type BodyRecord, parseBody } from "../request/body.ts";
import { type Condition, readCondition } from "../request/condition-headers.ts";
import { applyCondition, checkReusedKey } from "../request/conditions.ts";
import {
  findCollection,
  type Prefer,
  readIdempotencyKey,
  readItemId,
  readPrefer,
  refuseConditions,
  refuseUnknownParameters,
  refuseUnsupportedHeaders,
} from "../request/parameters.ts";

/** What the routes of writes need. */
export type WritesOptions = {
  collections: readonly Collection[];
  publisher: Publisher;
  reader: Reader;
  logger: Logger;
  waits: ReceiptWaits;
};

/** The handlers of POST, PUT and DELETE. */
export function createWrites(options: WritesOptions) {
  const { collections, publisher, reader, logger, waits } = options;
  const create: RequestHandler = (request, response) => submit(request, response, "create");
  const put: RequestHandler = (request, response) => submit(request, response, "put");
  const putItem: RequestHandler = (request, response) =>
    submit(request, response, "put", readItemId(request));
  const deleteItem: RequestHandler = (request, response) =>
    submit(request, response, "delete", readItemId(request));
  return { create, put, putItem, deleteItem };

  async function submit(
    request: Request,
    response: Response,
    kind: WriteKind,
    pathId?: string,
  ): Promise<void> {
    refuseUnknownParameters(request);
    refuseUnsupportedHeaders(request, kind);
    const collection = findCollection(collections, request);
    const prefer = readPrefer(request);
    // RFC 7240, section 4.3: the wait is counted from the request, not from when it is published.
    const untilMs = performance.now() + prefer.waitMs;
    const condition = kind === "create" ? undefined : readCondition(request);
    const key = kind === "create" ? readIdempotencyKey(request) : undefined;
    const body: Body = kind === "delete" ? { single: undefined } : parseBody(request);
    const common = { response, kind, collection, condition, key, pathId, untilMs };
    if ("single" in body) {
      const write = await accept({ ...common, value: body.single });
      const waited = prefer.waitMs > 0 ? await waitFor(write, common) : undefined;
      if (waited) answerSettled(response, write, waited, prefer);
      else answerAccepted(response, write, prefer);
      return;
    }
    if (pathId !== undefined) throw malformed("Send many records to the path of the collection.");
    refuseConditions(request);
    answerBulk(response, await submitRecords(common, body.records, prefer), prefer);
  }

  function submitRecords(
    common: Omit<Draft, "value">,
    records: readonly BodyRecord[],
    prefer: Prefer,
  ): Promise<RecordResult[]> {
    const { response } = common;
    const submitRecord = async (record: BodyRecord, place: number): Promise<RecordResult> => {
      try {
        if ("problem" in record) throw record.problem;
        const write = await accept({ ...common, value: record.value, place });
        const waited = prefer.waitMs > 0 ? await waitFor(write, common) : undefined;
        return waited
          ? toSettledResult(response.req, write, waited)
          : toAcceptedResult(response.req, write);
      } catch (error) {
        // Other records may be accepted already, so an unexpected error fails only its own.
        const problem = error instanceof Problem ? error : internalProblem(logger, error, response);
        return { ...(problem.toJSON() as RecordResult), line: record.line };
      }
    };
    return Promise.all(records.map(submitRecord));
  }

  /** Makes a write of a record, and resolves once Pub/Sub holds it. Rejects with a Problem. */
  async function accept(draft: Draft): Promise<Write> {
    const drafted = draftWrite(draft);
    const write = draft.condition ? await addCondition(drafted, draft.condition) : drafted;
    if (write.fingerprint) await checkReusedKey(reader, write);
    await publisher.publish(write, draft.response.locals.requestId);
    return write;
  }

  /** Adds the condition; the id of a write that names a version is minted anew, to sort after it. */
  async function addCondition(write: Write, condition: Condition): Promise<Write> {
    const isSeen = await applyCondition(reader, write, condition);
    if (!write.ifMatch || write.ifMatch === "*") return write;
    const id = mintWriteId({ version: write.ifMatch, seen: isSeen });
    return { ...write, id, acceptedAt: getWriteTime(id) };
  }

  function waitFor(
    { collection, itemId, id }: Write,
    { untilMs, response }: Pick<Draft, "untilMs" | "response">,
  ) {
    return waits.wait({ collection, itemId, write: id }, untilMs, response);
  }
}

type Draft = {
  response: Response;
  kind: WriteKind;
  collection: Collection;
  value: unknown;
  condition: Condition | undefined;
  key: string | undefined;
  pathId: string | undefined;
  /** When the client's wait is over, of `performance.now()`. */
  untilMs: number;
  /** The record's place in a bulk request. */
  place?: number;
};

function draftWrite(draft: Draft): Write {
  const { kind, collection, key } = draft;
  const { traceparent, key: apiKey } = draft.response.locals;
  const { itemId, value } =
    kind === "put" ? takeItemId(draft) : { itemId: draft.pathId, value: draft.value };
  const item = kind === "delete" ? undefined : validateItem(collection, value);
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
    fingerprint: key && item ? computeFingerprint(item) : undefined,
    traceparent,
  };
}

/** A put's item id, from the path or from the body's `id`; where both are given, they must agree. */
function takeItemId({ value, pathId }: Draft): { itemId: string; value: unknown } {
  // What is no object, or repeats its id, is refused by the check of the item.
  if (!isObject(value) || value.id instanceof RepeatedKey) return { itemId: pathId ?? "", value };
  const { id, ...fields } = value;
  const fault = (detail: string) =>
    new Problem("invalid-item", `The id ${detail}`, {
      errors: [{ pointer: "/id", detail: detail.charAt(0).toUpperCase() + detail.slice(1) }],
    });
  if (id === undefined && pathId !== undefined) return { itemId: pathId, value: fields };
  if (id === undefined) throw fault("is required.");
  if (typeof id !== "string" || !ITEM_ID.test(id))
    throw fault("must have 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -");
  if (pathId !== undefined && pathId !== id) throw fault("must be the one in the path.");
  return { itemId: id, value: fields };
}

function validateItem(collection: Collection, value: unknown): Item {
  const checked = checkItem(collection, value);
  if (checked.ok) return checked.item;
  const count = checked.errors.length;
  throw new Problem(
    "invalid-item",
    count === 1
      ? `The item is not valid: ${formatErrors(checked.errors)}`
      : `The item is not valid: ${count} fields have errors.`,
    { errors: checked.errors },
  );
}
