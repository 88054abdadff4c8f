import { encodeWrite, type Write } from "../../common/write.ts";
import type { Letter } from "../../ops/replay.ts";

/** The dead letter of a write, as an operator may replay it. */
export function buildLetter(write: Write): Letter {
  const { attributes, data } = encodeWrite(write);
  return {
    messageId: "m",
    writeId: write.id,
    attributes,
    data,
    reason: "x",
    firstSeen: "",
    lastSeen: "",
    replayedAt: null,
    replayedAs: null,
    publishedAt: null,
  };
}
