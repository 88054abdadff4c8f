import type { Request, RequestHandler, Response } from "express";
import type { Collection, Field } from "../common/collection.ts";
import { CLOCK_SKEW_MS } from "../common/limits.ts";
import type { Row } from "../common/tables.ts";
import { getWriteTime, isWriteId } from "../common/write-id.ts";
import { answerJson } from "./answer.ts";
import { findCollection, readItemId, readPathParameter } from "./collections.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import {
  entityTag,
  isNotModified,
  malformed,
  readPrefer,
  refuseUnknownParameters,
} from "./headers.ts";
import { Problem } from "./problem.ts";
import type { Reader } from "./reader.ts";
import { awaitReceipt, receiptPath, showInFlight, showReceipt } from "./receipts.ts";
import { COLLECTION, ITEM, RECEIPT } from "./routes.ts";

const PAGE_ITEMS = { default: 50, max: 1_000 };
const IN_FLIGHT_RETRY_SECONDS = 1;
const DAY_MS = 24 * 60 * 60 * 1000;

/** GET of an item, of a page of items and of a receipt. */
export function createReads(options: {
  collections: readonly Collection[];
  reader: Reader;
  retentionDays: number;
  stop: AbortSignal;
}): [string, RequestHandler][] {
  const { collections, reader, retentionDays, stop } = options;
  return [
    [`GET ${COLLECTION}`, getPage],
    [`GET ${ITEM}`, getItem],
    [`GET ${RECEIPT}`, getReceipt],
  ];

  async function getItem(request: Request, response: Response): Promise<void> {
    refuseUnknownParameters(request, ["after"]);
    const collection = findCollection(collections, request);
    const id = readItemId(request);
    const after = readParameter(request, "after");
    if (after !== undefined) await awaitAfter(request, response, collection, id, after);
    const row = await reader.row(collection, id);
    if (!row) throw new Problem("not-found", "There is no item with this id.");
    if (!row.item) throw new Problem("deleted", "The item was deleted.");
    const modified = new Date(row.updatedAt).toUTCString();
    const headers = ["ETag", entityTag(row.version), "Last-Modified", modified];
    if (isNotModified(request, row.version)) response.writeHead(304, headers).end();
    else answerJson(response, 200, showItem(row), headers);
  }

  /** Read your own write: goes on once the write that `after` names is settled. */
  async function awaitAfter(
    request: Request,
    response: Response,
    collection: Collection,
    itemId: string,
    write: string,
  ): Promise<void> {
    if (!isKnowable(write)) throw malformed("The parameter after must be the id of a write.");
    const prefer = readPrefer(request);
    if (prefer.waitMs > 0) response.setHeader("Preference-Applied", prefer.applied.join(", "));
    const key = { collection, itemId, write };
    const settled = await awaitReceipt(reader, key, prefer.waitMs, stop);
    if (!settled)
      throw new Problem("unavailable", "The write that after names is not settled yet.");
  }

  async function getPage(request: Request, response: Response): Promise<void> {
    const collection = findCollection(collections, request);
    const filterNames = collection.filters.map(({ name }) => name);
    refuseUnknownParameters(request, ["limit", "cursor", "order", ...filterNames]);
    const newestFirst = readOrder(request);
    const limit = readLimit(request);
    const filters = collection.filters.flatMap((field) => {
      const text = readParameter(request, field.name);
      return text === undefined ? [] : [{ field, value: readFilter(field, text) }];
    });
    const list = { collection: collection.name, newestFirst, filters };
    const cursor = readParameter(request, "cursor");
    const after = cursor === undefined ? undefined : readCursor(cursor, list);
    // One more than asked for tells whether there is a next page.
    const rows = await reader.page(collection, { filters, newestFirst, after, limit: limit + 1 });
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const next = last && rows.length > limit ? writeCursor(last, list) : null;
    response.json({ data: page.map(showItem), next });
  }

  async function getReceipt(request: Request, response: Response): Promise<void> {
    refuseUnknownParameters(request);
    const collection = findCollection(collections, request);
    const itemId = readItemId(request);
    const write = readPathParameter(request, "write");
    if (!isKnowable(write)) throw new Problem("not-found", "There was never such a write.");
    const key = { collection, itemId, write };
    const { waitMs } = readPrefer(request);
    const settled =
      waitMs > 0
        ? await awaitReceipt(reader, key, waitMs, stop)
        : await reader.receipt(collection, itemId, write);
    if (settled?.receipt) return void response.json(showReceipt(settled.receipt));
    if (Date.now() - getWriteTime(write) > retentionDays * DAY_MS)
      throw new Problem("not-found", "There is no receipt of this write, or not any more.");
    response.setHeader("Retry-After", String(IN_FLIGHT_RETRY_SECONDS));
    response.json({ ...showInFlight(write), receipt: receiptPath(key) });
  }
}

/** An item as the client sees it. */
export function showItem(row: Row): Record<string, unknown> {
  return { id: row.id, ...row.item };
}

/** Whether an id can be that of a write: of its form, and not from the future. */
function isKnowable(write: string): boolean {
  return isWriteId(write) && getWriteTime(write) <= Date.now() + CLOCK_SKEW_MS;
}

function readParameter(request: Request, name: string): string | undefined {
  const value = request.query[name];
  if (value === undefined || typeof value === "string") return value;
  throw malformed(`The parameter ${name} stands more than once.`);
}

function readOrder(request: Request): boolean {
  const order = readParameter(request, "order") ?? "asc";
  if (order === "asc" || order === "desc") return order === "desc";
  throw malformed("The parameter order must be asc (oldest first) or desc.");
}

function readLimit(request: Request): number {
  const limit = readParameter(request, "limit") ?? String(PAGE_ITEMS.default);
  if (/^[1-9]\d{0,3}$/.test(limit) && Number(limit) <= PAGE_ITEMS.max) return Number(limit);
  throw malformed(`The parameter limit must be from 1 to ${PAGE_ITEMS.max}.`);
}

/** A filter's text as a value of its field, checked as in a body. */
function readFilter(field: Field, text: string): unknown {
  const isNumeric = field.kind === "integer" || field.kind === "number";
  const isNumber = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text);
  const booleans: Record<string, boolean> = { true: true, false: false };
  const value =
    field.kind === "boolean" ? booleans[text] : isNumeric ? (isNumber ? Number(text) : NaN) : text;
  const parsed = value === undefined ? undefined : field.schema.safeParse(value);
  const isText = text.isWellFormed() && !text.includes("\0");
  if (!parsed?.success || !isText)
    throw malformed(`The filter ${field.name} is not a value of its field.`);
  return parsed.data;
}
