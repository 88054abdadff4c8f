import { hash } from "node:crypto";

type Digest = { count: number; low: number; high: number };

/**
 * A multiset of texts with times, kept as a count and a sum of hashes for each minute, so that
 * millions of texts take little memory.
 */
export class MinuteDigests {
  readonly #digests = new Map<number, Digest>();

  add(atMs: number, text: string): void {
    const minute = Math.floor(atMs / 60_000);
    const digest = this.#digests.get(minute) ?? { count: 0, low: 0, high: 0 };
    const bytes = hash("sha1", text, "buffer");
    digest.count += 1;
    digest.low = (digest.low + bytes.readUInt32LE(0)) >>> 0;
    digest.high = (digest.high + bytes.readUInt32LE(4)) >>> 0;
    this.#digests.set(minute, digest);
  }

  /** The minutes in which the other has other texts, in sentences. */
  compare(other: MinuteDigests): string[] {
    const minutes = new Set([...this.#digests.keys(), ...other.#digests.keys()]);
    return [...minutes].sort().flatMap((minute) => {
      const [mine, its] = [this.#digests.get(minute), other.#digests.get(minute)];
      if (mine && its && mine.low === its.low && mine.high === its.high) return [];
      const at = new Date(minute * 60_000).toISOString();
      return `of ${at} there were ${mine?.count ?? 0}, and are ${its?.count ?? 0}, or others`;
    });
  }
}
