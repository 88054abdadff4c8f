import { randomFillSync } from "node:crypto";

/** Drawn by the page: one call to the system serves hundreds of ids. */
const page = Buffer.alloc(4_096);
let used = page.length;

/** So many random bytes, few; good until the next are asked for. */
export function randomBytes(count: number): Buffer {
  if (used + count > page.length) {
    randomFillSync(page);
    used = 0;
  }
  used += count;
  return page.subarray(used - count, used);
}

/** So many random bytes, few, in hexadecimal. */
export function randomHex(count: number): string {
  return randomBytes(count).toString("hex");
}
