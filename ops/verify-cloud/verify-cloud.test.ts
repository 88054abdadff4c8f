import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { runInProcess } from "../../test/support/commands.ts";
import { startStandInApi } from "../../test/support/stand-in-api.ts";
import { CLAIMS } from "./claims.ts";
import { createVerifyCloud } from "./main.ts";

const LIVE = "v20260102-000000-bbbbbbb";
const BEFORE = "v20260101-000000-aaaaaaa";
const LINE = { severity: "INFO", trace: "projects/p/traces/t", labels: { service: "api" } };
const says = (message: string) => ({ ...LINE, jsonPayload: { message } });
const version = (service: string, id: string, traffic_split: number) => ({
  ...{ id, service, traffic_split },
  version: { createTime: id === LIVE ? "2026-01-02T00:00:00Z" : "2026-01-01T00:00:00Z" },
});
const REQUEST = { protoPayload: { resource: "/api/data", status: 201, latency: "0.05s" } };

/** What a good project answers to the command lines that contain the key; the first that fits. */
const GOOD: Record<string, unknown> = {
  "app versions list": ["default", "subscriber"].flatMap((service) => [
    version(service, LIVE, 1),
    version(service, BEFORE, 0),
  ]),
  "services describe default": { split: { shardBy: "IP", allocations: { [LIVE]: 1 } } },
  'writes.id="version-1"': [says("writes accepted"), says("writes settled")],
  "metadata.requestId=": [says("writes accepted")],
  "/health/live": [REQUEST],
  request_log: [REQUEST],
  "auth print-access-token": "token",
  "services set-traffic": "",
  "sql instances restart latam-database": "",
  "app instances list": [{ id: "one", service: "subscriber", version: LIVE }],
  "app instances delete one": "",
};

describe("npm run ops -- verify-cloud", () => {
  let folder: string;
  let api: Awaited<ReturnType<typeof startStandInApi>>;
  let monitoring: Server;
  let monitoringUrl: string;
  let missingMetrics: string[] = [];
  before(async () => {
    monitoring = createServer(({ url = "", headers }, response) => {
      const query = new URL(url, "http://x").searchParams.get("query") ?? "";
      const isKnown = url.startsWith("/v1/projects/constancia-staging/location/global/prometheus/");
      response.statusCode = isKnown && headers.authorization === "Bearer token" ? 200 : 403;
      const result = missingMetrics.some((name) => query.includes(name)) ? [] : [{}];
      response.end(JSON.stringify({ data: { result } }));
    }).listen(0, "127.0.0.1");
    await once(monitoring, "listening");
    monitoringUrl = `http://127.0.0.1:${(monitoring.address() as AddressInfo).port}`;
  });
  after(() => monitoring.close());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "verify-cloud-"));
    api = await startStandInApi([]);
    missingMetrics = [];
  });
  afterEach(() => {
    api.close();
    rmSync(folder, { recursive: true });
  });

  /** Installs a gcloud with these answers, and an npm that ends with the audit's status. */
  function install(answers: Record<string, unknown>, auditStatus: number): void {
    mkdirSync(join(folder, "answers"), { recursive: true });
    const cases = Object.entries(answers).map(([part, answer], index) => {
      const text = typeof answer === "string" ? answer : JSON.stringify(answer);
      writeFileSync(join(folder, "answers", String(index)), text);
      return `  *'${part}'*) cat ${folder}/answers/${index}; exit 0 ;;`;
    });
    const gcloud = `#!/bin/sh
echo "$*" >> ${folder}/calls
case "$* " in *"--quiet "*) ;; *) echo "it would ask" >&2; exit 1 ;; esac
case "$*" in *--project=constancia-staging*|auth*) ;; *) echo "another project" >&2; exit 1 ;; esac
case "$*" in
${cases.join("\n")}
esac
echo "no answer to $*" >&2
exit 1
`;
    writeFileSync(join(folder, "gcloud"), gcloud, { mode: 0o755 });
    const npm = `#!/bin/sh\necho "npm $*" >> ${folder}/calls\nexit ${auditStatus}\n`;
    writeFileSync(join(folder, "npm"), npm, { mode: 0o755 });
  }

  async function verify(
    args: string[],
    {
      answers = GOOD,
      auditStatus = 0,
    }: { answers?: Record<string, unknown>; auditStatus?: number } = {},
  ) {
    install(answers, auditStatus);
    const all = ["staging", `--url=${api.url}`, "--pause=0", ...args];
    const env = { PATH: `${folder}:/usr/bin:/bin` };
    const { status, out, err } = await runInProcess(createVerifyCloud(monitoringUrl), all, { env });
    const verdicts = [...out.matchAll(/^(held|differs|unknown) +([\w-]+): (.*)$/gm)].map(
      ([, verdict, id, evidence]) => [id, { verdict, evidence }] as const,
    );
    return { status, out, err, verdicts: new Map(verdicts) };
  }
  const listCalls = () => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");

  it("asks everything, and reports it as a table; what would disturb is not asked", async () => {
    const { status, out, err, verdicts } = await verify([]);
    assert.deepEqual([status, err], [0, ""]);
    assert.deepEqual(
      [...verdicts.keys()],
      CLAIMS.map(({ id }) => id),
    );
    const held = [...verdicts].filter(([, { verdict }]) => verdict === "held").map(([id]) => id);
    assert.deepEqual(held, [
      ...["deployed", "write", "log-fields", "log-delay", "request-log", "split-by", "metrics"],
    ]);
    for (const id of ["traffic", "restart", "load"])
      assert.match(verdicts.get(id)?.evidence ?? "", /disturbs the service; add --disturb/);
    assert.equal(out.match(/^\| .* \| (held|differs|unknown) \| /gm)?.length, CLAIMS.length);
    assert.match(out, /^### verify-cloud staging \(constancia-staging\), 20/m);
    assert.equal(api.left(), 0);
    assert.ok(!listCalls().some((call) => /set-traffic|restart|delete|npm/.test(call)));
  });

  it("splits traffic, restarts MySQL and ends an instance only with --disturb, and undoes the split", async () => {
    const { status, verdicts } = await verify(["--disturb", "--only=traffic,restart,load"]);
    assert.equal(status, 0);
    for (const [id, { verdict, evidence }] of verdicts)
      assert.equal(verdict, "held", `${id}: ${evidence}`);
    assert.match(
      verdicts.get("load")?.evidence ?? "",
      /^100 of 100 requests of 100 records accepted, one ended/,
    );
    const moves = listCalls().filter((call) => call.includes("set-traffic"));
    const splits = moves.map((call) => / (--splits=\S+ --split-by=\w+)/.exec(call)?.[1]);
    assert.deepEqual(splits, [
      `--splits=${LIVE}=0.5,${BEFORE}=0.5 --split-by=random`,
      `--splits=${LIVE}=1 --split-by=ip`,
    ]);
    assert.ok(
      listCalls().includes("npm run --silent ops -- audit-cloud staging --since 1h --grace 1m"),
    );
  });

  it("says what differs, and ends with status 1", async () => {
    const bare = { ...says("writes settled"), trace: undefined };
    const breaks: [string, Record<string, unknown>, RegExp][] = [
      ["deployed", { "app versions list": [version("default", LIVE, 1)] }, /^default v\S+; /],
      ["log-fields", { 'writes.id="': [says("writes accepted")] }, /^no line writes settled of/],
      ["log-fields", { 'writes.id="': [says("writes accepted"), bare] }, /^1 lines lack severity/],
      ["log-delay", { 'writes.id="': [] }, /^0 of 2 lines after \d+ s$/],
      [
        "request-log",
        { request_log: [{ protoPayload: { status: "201" } }] },
        /^an entry has status$/,
      ],
      ["request-log", { request_log: [] }, /no entry of the last day/],
      [
        "split-by",
        { "services describe": { split: { shardBy: "RANDOM", allocations: { a: 1 } } } },
        /RANDOM/,
      ],
      ["traffic", { "/health/live": [] }, /, 0 and 0 in the logs of the two versions$/],
    ];
    for (const [id, answers, sentence] of breaks) {
      const { status, verdicts } = await verify([`--only=${id}`, "--disturb"], {
        // The first that fits counts.
        answers: { ...answers, ...GOOD, ...answers },
      });
      assert.equal(status, 1, id);
      assert.equal(verdicts.get(id)?.verdict, "differs");
      assert.match(verdicts.get(id)?.evidence ?? "", sentence);
    }
    missingMetrics = ["constancia_open_dead_letters"];
    const { verdicts } = await verify(["--only=metrics"]);
    assert.match(
      verdicts.get("metrics")?.evidence ?? "",
      /last hour: constancia_open_dead_letters$/,
    );
    const lost = await verify(["--only=load", "--disturb"], { auditStatus: 1 });
    assert.match(lost.verdicts.get("load")?.evidence ?? "", /audit status 1/);
    assert.equal(lost.status, 1);
    api.answerWrongly({ "POST waited": 202 });
    const waited = await verify(["--only=write"]);
    assert.match(waited.verdicts.get("write")?.evidence ?? "", /^POST with Prefer: wait 202 after/);
    assert.equal(waited.status, 1);
  });

  it("does not know what cannot be asked, and goes on", async () => {
    const { status, verdicts } = await verify(["--only=split-by,deployed"], {
      answers: { "app versions list": GOOD["app versions list"] },
    });
    assert.equal(status, 0);
    assert.match(
      verdicts.get("split-by")?.evidence ?? "",
      /^gcloud app services describe failed: no answer/,
    );
    assert.equal(verdicts.get("deployed")?.verdict, "held");
  });

  it("refuses to disturb production, and what it does not know", async () => {
    const run = (...args: string[]) =>
      runInProcess(createVerifyCloud(), args, { env: { PATH: folder } });
    const refused: [string[], RegExp][] = [
      [["production", "--disturb"], /^--disturb is not for production/],
      [["staging", "--only=moon"], /^--only has "moon"/],
      [[], /^--environment is required/],
    ];
    for (const [args, sentence] of refused) {
      const { status, err } = await run(...args);
      assert.equal(status, 2);
      assert.match(err, sentence);
    }
  });
});
