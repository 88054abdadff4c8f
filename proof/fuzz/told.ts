import type { Answer, Sent } from "./wire.ts";

/** What answers told their clients of the writes that they asked for. */
export type Told = {
  /** The receipts' addresses, each of one accepted write. */
  receipts: string[];
  /** Writes that were accepted for clients who wanted no body (`return=minimal`). */
  unnamed: number;
  /** Writes whose fate is unknown: answered 503. */
  unknown: number;
};

const WRITES = new Set(["POST", "PUT", "DELETE"]);

/** Reads an answer to this request; a request that is no write, or refused, tells of nothing. */
export function readTold(sent: Sent, { status, headers, text }: Answer): Told {
  const told: Told = { receipts: [], unnamed: 0, unknown: 0 };
  if (!WRITES.has(sent.method)) return told;
  const [, receipt] = /<([^>]*)>; rel="status"/.exec(headers.link ?? "") ?? [];
  if (receipt !== undefined) return { ...told, receipts: [receipt] };
  if (/"results":/.test(text)) {
    const { results } = JSON.parse(text) as { results: { receipt?: string; status: number }[] };
    for (const one of results)
      if (one.receipt !== undefined) told.receipts.push(one.receipt);
      else if (one.status === 503) told.unknown += 1;
    return told;
  }
  if (status === 503) return { ...told, unknown: 1 };
  return status < 300 ? { ...told, unnamed: countRecords(sent) } : told;
}

/** Records of a bulk body that was accepted as a whole. */
function countRecords({ plain = "", headers }: Sent): number {
  const type = headers.find(([name]) => name === "content-type")?.[1] ?? "";
  // As the API reads it: a byte order mark is none of the text.
  const text = new TextDecoder().decode(Buffer.from(plain, "latin1"));
  if (/ndjson/i.test(type)) return text.split("\n").filter((line) => line.trim() !== "").length;
  return (JSON.parse(text) as unknown[]).length;
}
