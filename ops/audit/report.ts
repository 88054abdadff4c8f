import { getWriteTime } from "../../common/write-id.ts";
import type { AcceptedWrite, ReadCounts } from "./accepted-writes.ts";
import type { Findings } from "./auditor.ts";

/** The counts, then every missing write, for people. */
export function formatText(read: ReadCounts, findings: Findings): string {
  const outcomes = Object.entries(findings.settled).filter(([, count]) => count > 0);
  const settled = outcomes.reduce((sum, [, count]) => sum + count, 0);
  const byOutcome = outcomes.map(([outcome, count]) => `${outcome} ${count}`).join(", ");
  const counts: [string, number, string?][] = [
    ["accepted lines read", read.acceptedLines],
    ["bare ids read", read.bareIds],
    ["other lines", read.others],
    ["unreadable lines", read.unreadable],
    ["repeated ids", findings.repeated],
    ["distinct writes", findings.writes],
    ["settled", settled, byOutcome],
    ["in flight", findings.inFlight],
    ["beyond retention", findings.beyondRetention],
    ["missing", findings.missing],
  ];
  const lines = counts.map(([name, count, more]) => {
    const line = `${name.padEnd(20)}${String(count).padStart(9)}`;
    return more ? `${line}  ${more}` : line;
  });
  if (findings.missing > 0) lines.push("", ...findings.named.map(describeMissing));
  const unnamed = findings.missing - findings.named.length;
  if (unnamed > 0) lines.push(`... and ${unnamed} more`);
  return `${lines.join("\n")}\n`;
}

/** The same as one JSON document, for programs. */
export function formatJson(read: ReadCounts, { named, ...counts }: Findings): string {
  const missing = named.map((write) => JSON.stringify(toMissing(write))).join(",\n");
  return `{"counts":${JSON.stringify({ ...read, ...counts })},"missing":[\n${missing}]}\n`;
}

function toMissing({ id, ...rest }: AcceptedWrite) {
  return { write: id, ...rest, accepted: new Date(getWriteTime(id)).toISOString() };
}

function describeMissing(write: AcceptedWrite): string {
  const { collection, item, request = "unknown", accepted } = toMissing(write);
  const path = collection === undefined ? "item unknown" : `${collection}/${item}`;
  return `missing ${write.id}  ${path}  request ${request}  accepted ${accepted}`;
}
