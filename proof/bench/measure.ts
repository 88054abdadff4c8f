import { readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second, whatever its own clock. */
const MICROS_PER_TICK = 10_000;

/** Whether the operating system's accounting of other processes is known here: on Linux only. */
export const CAN_ACCOUNT = process.platform === "linux";

/** Processor time of a process so far, its own and the kernel's for it, in microseconds. */
export function processorMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name, in brackets, may hold spaces; the 12th and 13th fields after it are the times.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** Memory of a process in MB: now, and the most that it ever had. */
export function residentMb(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const read = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) / 1_024;
  return { now: read("VmRSS"), most: read("VmHWM") };
}

/** What named processes use from the call on, until the function that it returns is called. */
export function startAccounting(pids: Record<string, number | undefined>) {
  const known = Object.entries(pids).filter(
    (entry): entry is [string, number] => CAN_ACCOUNT && entry[1] !== undefined,
  );
  const before = known.map(([, pid]) => processorMicros(pid));
  const startedAt = performance.now();
  return (records: () => number): Record<string, number> => {
    const micros = known.map(([, pid], index) => processorMicros(pid) - (before[index] ?? 0));
    const seconds = (performance.now() - startedAt) / 1_000;
    const count = records();
    const values: Record<string, number> = { perSecond: count / seconds };
    known.forEach(([name, pid], index) => {
      values[`${name}Micros`] = (micros[index] ?? 0) / Math.max(1, count);
      values[`${name}Mb`] = residentMb(pid).most;
    });
    return values;
  };
}

/** The value that a share of the sorted ones does not pass. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[half] as number;
  return ((sorted[half - 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2;
}
