import type { Request, RequestHandler, Response } from "express";
import type { Collection } from "../../common/collection.ts";
import type { Config } from "../../common/config.ts";
import { RECORD_BYTES } from "../../common/limits.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { type ClientWriteKind, isVersionNamed, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { logInternalError } from "../answer/errors.ts";
import { malformed } from "../answer/problem.ts";
import {
  answerAccepted,
  answerBulk,
  answerSettled,
  type RecordResult,
  type SettledWithItem,
  showsCurrentItem,
  toAcceptedResult,
  toSettledResult,
} from "../answer/writes.ts";
import type { Publisher } from "../publisher.ts";
import type { Reader } from "../reader.ts";
import type { ReceiptWaits } from "../receipt-waits.ts";
import { mayRead } from "../request/access.ts";
import { readAfter } from "../request/after.ts";
import { type Condition, readCondition } from "../request/condition-headers.ts";
import {
  applyCondition,
  checkReusedKey,
  type KnownRow,
  readKnownRow,
} from "../request/conditions.ts";
import { type Draft, draftWrite } from "../request/draft.ts";
import { mintAfterRow, refuseExpired } from "../request/expiry.ts";
import { FollowingWrites, mayWait } from "../request/following-writes.ts";
import { NOTHING_ACCEPTED } from "../request/memory-reservation.ts";
import { checkOwner, isHidden, isMissing, readReader, requirePrincipal } from "../request/owner.ts";
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
import { type Body, parseBody } from "../request/records.ts";
import { createMutex, isLarge, startRecords } from "./bulk.ts";

/** What the routes of writes need. */
export type WritesOptions = {
  config: Config;
  collections: readonly Collection[];
  publisher: Publisher;
  reader: Reader;
  logger: Logger;
  waits: ReceiptWaits;
};

/** The handlers of POST, PUT and DELETE. */
export function createWrites(options: WritesOptions) {
  const { config, collections, publisher, reader, logger, waits } = options;
  const runExclusive = createMutex();
  const following = new FollowingWrites(reader, config);
  const create: RequestHandler = (request, response) => submit(request, response, "create");
  const put: RequestHandler = (request, response) => submit(request, response, "put");
  const putItem: RequestHandler = (request, response) =>
    submit(request, response, "put", readItemId(request));
  const deleteItem: RequestHandler = (request, response) =>
    submit(request, response, "delete", readItemId(request));
  return { create, put, putItem, deleteItem };

  function submit(
    request: Request,
    response: Response,
    kind: ClientWriteKind,
    pathId?: string,
  ): Promise<void> {
    return response.locals.memory.keepDuring(() =>
      submitWithMemory(request, response, kind, pathId),
    );
  }

  /** What `submit` does while the request's memory stays reserved. */
  async function submitWithMemory(
    request: Request,
    response: Response,
    kind: ClientWriteKind,
    pathId: string | undefined,
  ): Promise<void> {
    const collection = findCollection(collections, request);
    const isOwned = collection.owner !== undefined;
    refuseUnknownParameters(request, isOwned && kind === "delete" ? ["after"] : []);
    refuseUnsupportedHeaders(request, kind);
    if (isOwned) requirePrincipal(response);
    const prefer = readPrefer(request);
    // RFC 7240, section 4.3: the wait is counted from the request, not from when it is published.
    const untilMs = performance.now() + prefer.waitMs;
    const condition = kind === "create" ? undefined : readCondition(request);
    const key = kind === "create" ? readIdempotencyKey(request) : undefined;
    const after =
      isOwned && pathId !== undefined && kind === "delete"
        ? readAfter(request, { collection, itemId: pathId })
        : undefined;
    const common = { response, kind, collection, condition, key, pathId, after, untilMs };
    const readRecords = async () => {
      const body: Body = kind === "delete" ? { single: undefined } : parseBody(request);
      if ("single" in body) return { value: body.single };
      if (pathId !== undefined) throw malformed("Send many records to the path of the collection.");
      refuseConditions(request);
      response.locals.memory.reserve(body.count * RECORD_BYTES, NOTHING_ACCEPTED);
      const results = await startRecords(
        body.records,
        (value, place) => submitRecord({ ...common, value, place }, prefer),
        (error) => logInternalError(logger, error, response),
      );
      return { results };
    };
    const { value, results } = await (isLarge(request) ? runExclusive(readRecords) : readRecords());
    if (results) {
      answerBulk(response, await Promise.all(results), prefer);
      return response.locals.memory.disconnectIfUnread(response);
    }
    const write = await accept({ ...common, value });
    const waited = prefer.waitMs > 0 ? await waitForItem(write, common, prefer) : undefined;
    if (waited) answerSettled(response, write, waited, limitShown(waited, common, prefer));
    else answerAccepted(response, write, prefer);
    response.locals.memory.disconnectIfUnread(response);
  }

  async function submitRecord(draft: Draft, prefer: Prefer): Promise<RecordResult> {
    const { req } = draft.response;
    const write = await accept(draft);
    const waited = prefer.waitMs > 0 ? await waitFor(write, draft) : undefined;
    return waited ? toSettledResult(req, write, waited) : toAcceptedResult(req, write);
  }

  /** Makes a write of a record, and resolves once Pub/Sub holds it. Rejects with a Problem. */
  async function accept(draft: Draft): Promise<Write> {
    const drafted = draftWrite(draft);
    // The value is not needed any more, and may be many times as large as its JSON.
    draft.value = undefined;
    const row = await readRow(draft, drafted);
    const write = draft.condition ? await addCondition(drafted, draft.condition, row) : drafted;
    if (write.fingerprint) checkReusedKey(write, row);
    refuseExpired(write, row);
    mintAfterRow(write, row);
    if (mayWait(write, row, draft.after)) await following.add(draft.response, write);
    const published = publisher.publish(write, draft.response.locals.requestId);
    // The message has it; a bulk answer shows no items.
    if (draft.place !== undefined) write.item = undefined;
    await published.catch((error) => {
      following.forget(draft.response, write);
      throw error;
    });
    return write;
  }

  /** The item's row, where the write may be refused by it; refused where the item is another's. */
  async function readRow({ condition, after }: Draft, write: Write): Promise<KnownRow> {
    const { collection, itemId, kind, fingerprint } = write;
    const isOwned = collection.owner !== undefined;
    if (!condition && !fingerprint && !(isOwned && kind !== "create")) return "unknown";
    const row = await readKnownRow(reader, write);
    if (!isOwned) return row;
    const namesVersion = condition && "ifMatch" in condition && condition.ifMatch !== "*";
    const isInFlight = async () =>
      after !== undefined && !(await reader.receipt(collection, itemId, after)).receipt;
    const mayFollow = namesVersion || (isMissing(row) && (await isInFlight()));
    checkOwner(write, row, { mayFollow });
    return row;
  }

  /** Adds the condition; the id of a write that names a version is minted anew, to sort after it. */
  async function addCondition(write: Write, condition: Condition, row: KnownRow): Promise<Write> {
    const isSeen = await applyCondition(reader, write, condition, row);
    if (!isVersionNamed(write)) return write;
    const id = mintWriteId({ version: write.ifMatch, seen: isSeen });
    return { ...write, id, acceptedAt: getWriteTime(id) };
  }

  /** As {@link waitFor}, with the current item where the write changed nothing. */
  async function waitForItem(
    write: Write,
    until: Pick<Draft, "untilMs" | "response">,
    prefer: Prefer,
  ): Promise<SettledWithItem | undefined> {
    const waited = await waitFor(write, until);
    if (!waited || !showsCurrentItem(waited) || prefer.isMinimal) return waited;
    // The write was accepted, so that it is answered so where the item cannot be read.
    const row = await reader.row(write.collection, write.itemId).catch(() => undefined);
    return row && { receipt: waited.receipt, row, item: row.item };
  }

  /** Without the right to read, a write is answered without an item that another one has stored. */
  function limitShown(
    settled: SettledWithItem,
    { response, collection }: Pick<Draft, "response" | "collection">,
    prefer: Prefer,
  ): Prefer {
    if (!showsCurrentItem(settled)) return prefer;
    const isOwn = !isHidden(settled.row, readReader(collection, response));
    if (isOwn && mayRead(config, response, collection)) return prefer;
    return { ...prefer, isMinimal: true };
  }

  function waitFor(
    { collection, itemId, id }: Write,
    { untilMs, response }: Pick<Draft, "untilMs" | "response">,
  ) {
    return waits.wait({ collection, itemId, write: id }, untilMs, response);
  }
}
