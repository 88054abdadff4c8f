import type { Collection } from "../../common/collection.ts";
import { ITEM_ID } from "../../common/item-id.ts";
import { malformed } from "../answer/problem.ts";
import { decodeArray } from "./cursor.ts";

/** A reader's place in a feed: everything up to it was read. */
export type FeedPlace = {
  /** The epoch of the feed; a place of another one means nothing. */
  epoch: string;
  /** The last change that was read, and its item's id: changes from before the feed share position 0. */
  position: number;
  id: string;
  /** The last position that was given when the reader began: nothing is known to it from before. */
  head: number;
};

/** Writes a place as an opaque string. */
export function writePlace({ name }: Collection, place: FeedPlace): string {
  const { epoch, position, id, head } = place;
  return Buffer.from(JSON.stringify([name, epoch, position, id, head])).toString("base64url");
}

/** The place that a client gives back. Throws 400 where it is invalid, or of another collection. */
export function readPlace({ name }: Collection, text: string): FeedPlace {
  const [collection, epoch, position, id, head] = decodeArray(text);
  const isPlace =
    typeof epoch === "string" &&
    isPosition(position) &&
    isPosition(head) &&
    (id === "" || (typeof id === "string" && ITEM_ID.test(id)));
  if (!isPlace) throw malformed("The parameter since is not a place that a feed has given.");
  if (collection !== name)
    throw malformed("The place in the parameter since is of another collection.");
  return { epoch, position, id, head };
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
