import { readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second, whatever its own clock. */
const MICROS_PER_TICK = 10_000;

/** Whether processor time and memory of other processes can be read: on Linux only. */
export const CAN_ACCOUNT = process.platform === "linux";

/** Processor time of a process so far, its own and the kernel's for it, in microseconds. */
function processorMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name, in brackets, may hold spaces; the 12th and 13th fields after it are the times.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** Resident memory of a process in MB: now, and its peak. Throws where the process has ended. */
export function residentMb(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const read = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) / 1_024;
  return { now: read("VmRSS"), most: read("VmHWM") };
}

/** The peak resident memory of a process in MB; 0 where it has ended. */
export function peakMb(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    return residentMb(pid).most || 0;
  } catch {
    return 0;
  }
}

/** Measures what the named processes use from now until the returned function is called. */
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
