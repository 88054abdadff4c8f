import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { AUDIT_LOG } from "../iac/names.ts";

const SCRIPT = join(import.meta.dirname, "audit-cloud.sh");
const REPORT = {
  counts: { writes: 7, missing: 0, settled: { applied: 7 } },
  missing: [] as object[],
};

/** Runs the script with stand-ins that end as given; `line` is what was written to the log. */
function audit(
  t: TestContext,
  { status = 0, report = JSON.stringify(REPORT), proxy = 0, gcloud = 0, args = ["staging"] } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "constancia-audit-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const standIns = {
    npm: `echo "npm $* $GOOGLE_CLOUD_PROJECT $MYSQL_URL $MYSQL_PASSWORD_SECRET" >> ${folder}/calls
      printf '%s' "$REPORT"; exit ${status}`,
    "cloud-sql-proxy": `if [ "$1" = wait ]; then exit ${proxy}; fi`,
    gcloud: `for part in "$@"; do printf '%s\\n' "$part"; done >> ${folder}/written; exit ${gcloud}`,
  };
  for (const [program, text] of Object.entries(standIns)) {
    writeFileSync(join(folder, program), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, program), 0o755);
  }
  const run = spawnSync("bash", [SCRIPT, ...args], {
    encoding: "utf8",
    // The script imports TypeScript, so its node is the one that runs this test.
    env: { PATH: `${folder}:${dirname(process.execPath)}:${process.env.PATH}`, REPORT: report },
  });
  const read = (file: string) =>
    existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8") : "";
  const written = read("written").trim().split("\n");
  const line = written[3] ? JSON.parse(written[3]) : undefined;
  return { ...run, output: run.stdout + run.stderr, calls: read("calls"), written, line };
}

test("an audit asks for the last three hours, and writes down that none is missing", (t) => {
  const { status, output, calls, written, line } = audit(t);
  assert.equal(status, 0, output);
  assert.equal(
    calls.replace(/:\d+\//, ":PORT/"),
    "npm run --silent ops -- audit --json --since 3h --grace 15m constancia-staging" +
      " mysql://constancia@127.0.0.1:PORT/constancia" +
      " projects/constancia-staging/secrets/constancia-mysql-password/versions/latest\n",
  );
  assert.deepEqual(written.toSpliced(3, 1), [
    "logging",
    "write",
    AUDIT_LOG,
    "--payload-type=json",
    "--severity=INFO",
    "--project=constancia-staging",
  ]);
  assert.deepEqual(line, {
    message: "audit finished",
    status: 0,
    ...REPORT.counts,
    first: [],
  });
});

test("an audit names the first hundred missing writes, and fails", (t) => {
  const missing = Array.from({ length: 150 }, (_, index) => ({ write: `${index}`, item: "it's" }));
  const report = JSON.stringify({ counts: { missing: 150 }, missing });
  const { status, written, line } = audit(t, { status: 1, report });
  assert.equal(status, 1);
  assert.ok(written.includes("--severity=ERROR"));
  assert.deepEqual([line.status, line.missing], [1, 150]);
  assert.deepEqual(line.first, missing.slice(0, 100));
});

test("an audit that could not run reports that, and no number", (t) => {
  for (const fault of [
    { status: 3, report: "" },
    { status: 3, report: '{"counts":{' },
    { proxy: 1 },
  ]) {
    const { status, written, line } = audit(t, fault);
    assert.equal(status, 3);
    assert.ok(written.includes("--severity=ERROR"));
    assert.deepEqual(line, { message: "audit finished", status: 3 });
  }
});

test("an audit whose line is not written fails, whatever it found", (t) => {
  assert.notEqual(audit(t, { gcloud: 1 }).status, 0);
});

test("an audit passes its options on, and says what it needs", (t) => {
  assert.match(audit(t, { args: ["staging", "--since", "12h"] }).calls, /--json --since 12h /);
  const help = audit(t, { args: ["--help"] });
  assert.equal(help.status, 0);
  assert.match(help.output, /npm run ops -- audit-cloud ENVIRONMENT/);
  assert.equal(audit(t, { args: [] }).status, 2);
  assert.notEqual(audit(t, { args: ["mars"] }).status, 0);
});
