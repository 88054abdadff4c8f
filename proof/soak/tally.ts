import { hash } from "node:crypto";

type Bucket = { count: number; low: number; high: number };

/** Texts with a time, as a count and a sum of hashes by the minute: of any number, always small. */
export class Tally {
  readonly #buckets = new Map<number, Bucket>();

  add(atMs: number, text: string): void {
    const minute = Math.floor(atMs / 60_000);
    const bucket = this.#buckets.get(minute) ?? { count: 0, low: 0, high: 0 };
    const digest = hash("sha1", text, "buffer");
    bucket.count += 1;
    bucket.low = (bucket.low + digest.readUInt32LE(0)) >>> 0;
    bucket.high = (bucket.high + digest.readUInt32LE(4)) >>> 0;
    this.#buckets.set(minute, bucket);
  }

  get count(): number {
    return [...this.#buckets.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** In which minutes the other has other texts, in sentences. */
  compare(other: Tally): string[] {
    const minutes = new Set([...this.#buckets.keys(), ...other.#buckets.keys()]);
    return [...minutes].sort().flatMap((minute) => {
      const [mine, its] = [this.#buckets.get(minute), other.#buckets.get(minute)];
      if (mine && its && mine.low === its.low && mine.high === its.high) return [];
      const at = new Date(minute * 60_000).toISOString();
      return `of ${at} there were ${mine?.count ?? 0}, and are ${its?.count ?? 0}, or others`;
    });
  }
}
