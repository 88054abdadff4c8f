import { collections } from "../../collections/collections.ts";
import type { Collection } from "../../common/collection.ts";
import { mintTraceparent } from "../../common/telemetry/tracing.ts";
import { encodeWrite, type MessageContent, type WriteKind } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";

/** Makes messages as the API publishes them with this share of traces sampled, or with `off`. */
export function createMint(sampling: string) {
  const ratio = sampling === "off" ? 0 : Number(sampling);
  const mint = (kind: WriteKind, itemId: string): MessageContent => {
    const id = mintWriteId();
    return encodeWrite({
      id,
      kind,
      collection: collections[0] as Collection,
      itemId,
      acceptedAt: getWriteTime(id),
      item: { nombre: "Valpo" },
      // The subscriber goes by what it says of being sampled.
      traceparent: mintTraceparent(Math.random() < ratio),
    });
  };
  return {
    /** A create of a new item. */
    create: () => mint("create", mintWriteId()),
    /** A put on an item that may be there already. */
    put: (itemId: string) => mint("put", itemId),
  };
}

/** The message that the seed's API publishes. */
export const SEED_MESSAGE: MessageContent = {
  attributes: {},
  data: Buffer.from(JSON.stringify({ nombre: "Valpo" })),
};
