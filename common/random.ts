import { randomFillSync } from "node:crypto";

/** Random bytes are taken from a page: one system call serves hundreds of ids. */
const page = Buffer.alloc(4_096);
let used = page.length;

/** Fills a part of a buffer with random bytes. */
export function fillRandom(target: Buffer, start: number, count: number): void {
  const from = take(count);
  page.copy(target, start, from, from + count);
}

/** Returns a few random bytes in hexadecimal. */
export function randomHex(count: number): string {
  const from = take(count);
  return page.toString("hex", from, from + count);
}

/** Takes a few bytes of the page; returns where they start. */
function take(count: number): number {
  if (used + count > page.length) {
    randomFillSync(page);
    used = 0;
  }
  used += count;
  return used - count;
}
