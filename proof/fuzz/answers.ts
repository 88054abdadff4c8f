import { parse } from "lossless-json";
import type { Pool } from "../../common/database.ts";
import type { Write } from "../../common/write.ts";
import { selectStored } from "../../test/support/snapshot.ts";
import type { ClaimLog } from "../answers/claims.ts";
import { judgeStored, judgeUnwritten } from "../answers/judge-stored.ts";
import { recordAnswer } from "../answers/record.ts";
import { splitByItem } from "../cluster/check.ts";
import type { Answer, Sent } from "../support/raw-http.ts";
import { FUZZED_COLLECTIONS } from "./collections.ts";

const NAMES = new Set(FUZZED_COLLECTIONS.map(({ name }) => name));

/** Keeps what an answer says of items, to be judged later; returns what is wrong at first sight. */
export function recordFuzzed(
  log: ClaimLog,
  { sent, answer }: { sent: Sent; answer: Answer },
  { fromMs, toMs }: { fromMs: number; toMs: number },
): string[] {
  const headers: Record<string, string> = {};
  for (const [name, value] of sent.headers) headers[name.toLowerCase()] = value;
  const isJson = /\bjson\b/.test(answer.headers["content-type"] ?? "");
  const exchange = {
    fromMs,
    toMs,
    method: sent.method,
    target: sent.target,
    headers,
    sent: parseBody(sent.plain, headers["content-type"] ?? ""),
    status: answer.status,
    answerHeaders: answer.headers,
    answered: isJson ? parseJson(answer.text) : undefined,
  };
  return recordAnswer(log, exchange, NAMES);
}

/** Judges all answers, by the writes that were published and what is stored of them. */
export async function judgeFuzzed(
  log: ClaimLog,
  pool: Pool,
  writes: readonly Write[],
): Promise<string[]> {
  const faults: string[] = [];
  for (const [collection, own] of Map.groupBy(writes, (write) => write.collection))
    for (const chunk of splitByItem(own))
      faults.push(
        ...judgeStored(log, collection, chunk, await selectStored(pool, collection, chunk)),
      );
  return [...faults, ...judgeUnwritten(log)];
}

/** As the API reads it: one value, or the values of all lines. */
function parseBody(plain: string | undefined, type: string): unknown {
  if (plain === undefined) return undefined;
  // A byte order mark is not part of the text.
  const text = new TextDecoder().decode(Buffer.from(plain, "latin1"));
  if (!/ndjson/i.test(type)) return parseJson(text);
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parseJson);
}

/** By another parser than the product's; undefined where the text is not JSON, or has a key twice. */
function parseJson(text: string): unknown {
  try {
    return parse(text, null, { parseNumber: Number });
  } catch {
    return undefined;
  }
}
