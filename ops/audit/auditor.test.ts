import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "../../common/database.ts";
import { versionAt } from "../../test/support/schedules.ts";
import { auditWrites, createFindings } from "./auditor.ts";
import { formatJson, formatText } from "./report.ts";

test("of very many missing writes all are counted, and the first 100,000 are named", async () => {
  const findings = createFindings();
  const writes = Array.from({ length: 100_002 }, (_, serial) => ({ id: versionAt(1_000, serial) }));
  await auditWrites({
    pool: { query: async () => [[]] } as unknown as Pool,
    collections: [],
    source: (async function* () {
      yield writes;
    })(),
    graceMs: 0,
    retentionMs: Number.POSITIVE_INFINITY,
    findings,
    onScan: () => {},
  });
  assert.deepEqual([findings.writes, findings.missing], [100_002, 100_002]);
  assert.deepEqual(findings.named, writes.slice(0, 100_000));
  const read = { acceptedLines: 0, bareIds: 100_002, others: 0, unreadable: 0 };
  const { counts, missing } = JSON.parse(formatJson(read, findings));
  assert.deepEqual([counts.missing, missing.length], [100_002, 100_000]);
  assert.match(
    formatText(read, findings),
    /\nmissing \S+ {2}item unknown .*\n\.\.\. and 2 more\n$/,
  );
});
