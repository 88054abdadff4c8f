import type { RequestHandler } from "express";
import type { FeedState } from "../../common/feeds.ts";
import type { Row } from "../../common/tables.ts";
import { Page } from "../answer/page.ts";
import { Problem } from "../answer/problem.ts";
import { isUnchanged } from "../request/condition-headers.ts";
import { readReader } from "../request/owner.ts";
import { findCollection, readParameter, refuseUnknownParameters } from "../request/parameters.ts";
import { type FeedPlace, readPlace, writePlace } from "../request/place.ts";
import { createAfterWait } from "./after.ts";
import { type ReadsOptions, readLimit, showItem } from "./reads.ts";

/**
 * GET of a page of a collection's changes: the items in the order in which they were last applied,
 * deletes too, and the place to go on from. Where only owners read, they are the reader's own.
 */
export function createGetChanges(options: ReadsOptions, retentionDays: number): RequestHandler {
  const { collections, reader } = options;
  const awaitAfter = createAfterWait(options, retentionDays);
  return async (request, response) => {
    refuseUnknownParameters(request, ["since", "limit", "after"]);
    const collection = findCollection(collections, request);
    if (!collection.feed)
      throw new Problem("not-found", `The collection ${collection.name} has no feed of changes.`);
    const owner = readReader(collection, response);
    const limit = readLimit(request);
    const since = readParameter(request, "since");
    const from = since === undefined ? undefined : readPlace(collection, since);
    await awaitAfter(request, response, { collection });
    const page = new Page(response, limit, showChange);
    const range = { position: from?.position ?? 0, id: from?.id ?? "", limit, owner };
    const feed = await reader.changes(collection, range, (row) => page.take(row));
    if (from && isLost(from, feed))
      throw new Problem(
        "lost-place",
        "The feed cannot be continued from this place: deletes after it are no longer kept. Begin again without since.",
      );
    if (isUnchanged(request)) return void response.status(304).end();
    const { position, id } = page.last ?? range;
    // Who has seen all begins anew: what was deleted by now is nothing that such a reader misses.
    const head = from && page.hasMore ? from.head : feed.head;
    const place = { epoch: feed.epoch, position: position ?? 0, id, head };
    page.send({ next: writePlace(collection, place) });
  };
}

/** An item as it was applied last; without content where it was deleted. */
function showChange(row: Row): Record<string, unknown> {
  const { position, id, version } = row;
  return { position, id, version, item: row.item && showItem(row) };
}

/**
 * Whether something may be missing after a place: a tombstone that was swept, of an item that the reader
 * may have seen. One below the head at which the reader began is of an item that was deleted by then. A
 * place of another epoch, or one that was not given yet, is from before the database was restored.
 */
function isLost(place: FeedPlace, { epoch, head, swept }: FeedState): boolean {
  return (
    place.epoch !== epoch || place.position > head || swept > Math.max(place.position, place.head)
  );
}
