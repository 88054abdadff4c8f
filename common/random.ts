import { randomFillSync } from "node:crypto";

/** Random bytes are taken from a page: one system call serves hundreds of ids. */
const page = Buffer.alloc(4_096);
let used = page.length;

/** Returns a few random bytes; they are overwritten by later calls. */
export function randomBytes(count: number): Buffer {
  if (used + count > page.length) {
    randomFillSync(page);
    used = 0;
  }
  used += count;
  return page.subarray(used - count, used);
}

/** Returns a few random bytes in hexadecimal. */
export function randomHex(count: number): string {
  return randomBytes(count).toString("hex");
}
