import type { Request, RequestHandler } from "express";
import { abbreviate } from "../../common/characters.ts";
import type { Collection } from "../../common/collection.ts";
import { parseNumber } from "../../common/decimal.ts";
import type { Field } from "../../common/fields.ts";
import { ERROR_CHARACTERS, PAGE_ITEMS } from "../../common/limits.ts";
import { getPlace } from "../../common/pages.ts";
import type { Row } from "../../common/tables.ts";
import { sendJson } from "../answer/json.ts";
import { Page } from "../answer/page.ts";
import { malformed, Problem } from "../answer/problem.ts";
import type { Reader } from "../reader.ts";
import type { ReceiptWaits } from "../receipt-waits.ts";
import { formatEntityTag, isUnchanged } from "../request/condition-headers.ts";
import { readCursor, writeCursor } from "../request/cursor.ts";
import { isHidden, readReader } from "../request/owner.ts";
import {
  findCollection,
  readItemId,
  readParameter,
  refuseUnknownParameters,
} from "../request/parameters.ts";
import { createAfterWait } from "./after.ts";

/** What the routes of reads need. */
export type ReadsOptions = {
  collections: readonly Collection[];
  reader: Reader;
  waits: ReceiptWaits;
};

/** The handlers of GET of an item and of a page of items. Receipts are kept for `retentionDays`. */
export function createReads(options: ReadsOptions, retentionDays: number) {
  const { collections, reader: rows } = options;
  const awaitAfter = createAfterWait(options, retentionDays);
  const getItem: RequestHandler = async (request, response) => {
    refuseUnknownParameters(request, ["after"]);
    const collection = findCollection(collections, request);
    const reader = readReader(collection, response);
    const id = readItemId(request);
    await awaitAfter(request, response, { collection, itemId: id });
    const row = await rows.row(collection, id);
    if (!row || isHidden(row, reader)) throw new Problem("not-found", "The item does not exist.");
    if (!row.item)
      throw new Problem(
        "deleted",
        row.isExpired ? "The item has expired." : "The item was deleted.",
      );
    const isKnown = isUnchanged(request, row);
    response.setHeader("ETag", formatEntityTag(row.version));
    // Another machine's clock may be ahead; a future date is not allowed (RFC 9110, 8.8.2.1).
    const modifiedAt = Math.min(row.updatedAt, Date.now());
    response.setHeader("Last-Modified", new Date(modifiedAt).toUTCString());
    if (isKnown) return void response.status(304).end();
    // Express would compare it to the second, within which an item may change.
    delete request.headers["if-modified-since"];
    const { memory } = response.locals;
    memory.assertAvailable();
    sendJson(response, showItem(row));
    memory.disconnectIfUnread(response);
  };
  const getPage: RequestHandler = async (request, response) => {
    const collection = findCollection(collections, request);
    const owner = readReader(collection, response);
    const filterNames = collection.filters.map(({ name }) => name);
    refuseUnknownParameters(request, ["limit", "cursor", "order", "after", ...filterNames]);
    const newestFirst = readOrder(request);
    const limit = readLimit(request);
    const filters = collection.filters.flatMap((field) => {
      const text = readParameter(request, field.name);
      return text === undefined ? [] : [{ field, value: readFilter(field, text) }];
    });
    const list = { collection, newestFirst, filters };
    const cursor = readParameter(request, "cursor");
    const place = cursor === undefined ? undefined : readCursor(cursor, list);
    await awaitAfter(request, response, { collection });
    const page = new Page(response, limit, showItem);
    // One more than requested shows whether there is a next page.
    const range = { filters, newestFirst, after: place, limit: limit + 1, owner };
    await rows.page(collection, range, (row) => page.take(row));
    if (isUnchanged(request)) return void response.status(304).end();
    const next = page.hasMore && page.last ? getPlace(collection, page.last) : undefined;
    page.send({ next: next ? writeCursor(next, list) : null });
  };
  return { getItem, getPage };
}

/** An item as the client sees it. */
export function showItem(row: Row): Record<string, unknown> {
  return { id: row.id, ...row.item };
}

function readOrder(request: Request): boolean {
  const order = readParameter(request, "order") ?? "asc";
  if (order === "asc" || order === "desc") return order === "desc";
  throw malformed("The parameter order must be asc or desc.");
}

/** The parameter `limit` of a page. */
export function readLimit(request: Request): number {
  const limit = readParameter(request, "limit") ?? String(PAGE_ITEMS.default);
  if (/^[1-9]\d{0,3}$/.test(limit) && Number(limit) <= PAGE_ITEMS.max) return Number(limit);
  throw malformed(`The parameter limit must be a number from 1 to ${PAGE_ITEMS.max}.`);
}

/** A filter's text as a value of its field, checked as in a body. */
function readFilter(field: Field, text: string): unknown {
  const isNumeric = field.kind === "integer" || field.kind === "number";
  const isNumber = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text);
  const booleans: Record<string, boolean> = { true: true, false: false };
  const number = isNumber ? parseNumber(text) : undefined;
  const value = field.kind === "boolean" ? booleans[text] : isNumeric ? number : text;
  const parsed = value === undefined ? undefined : field.schema.safeParse(value);
  const isText = text.isWellFormed() && !text.includes("\0");
  if (!parsed?.success || !isText)
    throw malformed(
      `The parameter ${field.name} is not a valid value of the field.` +
        describeChoices(field) +
        (field.kind === "dateTime" && / \d\d:\d\d$/.test(text)
          ? " In an address, + must be written %2B."
          : ""),
    );
  return parsed.data;
}

/** The values of an enum, as the end of a sentence about a wrong one. */
function describeChoices({ jsonSchema }: Field): string {
  if (!jsonSchema.enum) return "";
  return abbreviate(` It must be one of ${jsonSchema.enum.join(", ")}.`, ERROR_CHARACTERS);
}
