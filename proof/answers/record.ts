import type { ClaimLog } from "./claims.ts";
import { type Exchange, parsePlace, type Reading } from "./exchange.ts";
import { readGetAnswer } from "./read-answers.ts";
import { readWriteAnswer } from "./write-answers.ts";

/** What an answer of the API says of items; nothing where it is about anything else. */
export function readAnswer(exchange: Exchange, collections: ReadonlySet<string>): Reading {
  const place = parsePlace(exchange.target, collections);
  if (!place) return { claims: [], faults: [] };
  const { method } = exchange;
  if (method === "GET" || method === "HEAD") return readGetAnswer(exchange, place);
  if (place.write !== undefined || !["POST", "PUT", "DELETE"].includes(method))
    return { claims: [], faults: [] };
  return readWriteAnswer(exchange, place, collections);
}

/** Keeps what an answer says, to be judged later; returns what is wrong with it at first sight. */
export function recordAnswer(
  log: ClaimLog,
  exchange: Exchange,
  collections: ReadonlySet<string>,
): string[] {
  const { claims, faults } = readAnswer(exchange, collections);
  for (const [key, claim] of claims) log.add(key, claim);
  const { method, target, status } = exchange;
  return faults.map((fault) => `${method} ${target.slice(0, 120)} ${status}: ${fault}`);
}
