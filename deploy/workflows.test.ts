import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { findProgram } from "../local/programs.ts";
import { lintWorkflow } from "./lint-workflows.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), "utf8");
const FOLDER = ".github/workflows/";

/** What the script of a step adds to the job's summary, in a folder with these files. */
function summarise(script: string, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "constancia-step-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, dirname(name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const summary = join(folder, "summary.md");
    // As GitHub runs it.
    execFileSync("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script], {
      cwd: folder,
      env: { PATH: process.env.PATH, GITHUB_STEP_SUMMARY: summary, LANGUAGE: "actions" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    return readFileSync(summary, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the workflows", () => {
  it("have no faults", async () => {
    const files = readdirSync(new URL(FOLDER, ROOT)).toSorted();
    assert.deepEqual(files, ["audit.yaml", "ci.yaml", "deploy.yaml", "security.yaml"]);
    for (const file of files)
      assert.deepEqual(await lintWorkflow(FOLDER + file, read(FOLDER + file)), []);
  });

  it("are refused if they are broken, with the place or the job", async () => {
    const deploy = read(`${FOLDER}deploy.yaml`);
    const breaks: [string | RegExp, string, RegExp][] = [
      ["needs: ci", "needs: nothing", /"production" needs job "nothing"/],
      ["    timeout-minutes: 90\n", "", /job production has no timeout-minutes/],
      ["permissions:\n  contents: read\n", "", /contents: read by default/],
      [/(auth)@[0-9a-f]{40} # v\S+/, "$1@v3", /auth@v3 must be pinned by its commit/],
      [/ # v7\.0\.1/, "", /checkout@\w{40} must be pinned/],
      ["persist-credentials: false", "fetch-depth: 1", /without persist-credentials: false/],
      ["vars.PROJECT_ID }}", "vars.PROJECT_ID }", /unexpected|expression/],
      ["needs: ci\n", "  needs: ci\n", /is not valid YAML/],
      ["environment: production", "environmnt: production", /unexpected key "environmnt"/],
      [
        "run: npm run deploy -- production --hold=300 --keep=5",
        "run: echo ${{ github.event.head_commit.message }}",
        /potentially untrusted/,
      ],
    ];
    for (const [good, bad, fault] of breaks) {
      const broken = deploy.replace(good, bad);
      assert.notEqual(broken, deploy, String(good));
      assert.match((await lintWorkflow("deploy.yaml", broken)).join("\n"), fault, bad);
    }
  });

  it("deploy to production one at a time, after approval and without a key", () => {
    const { on, concurrency, jobs } = parse(read(`${FOLDER}deploy.yaml`));
    assert.deepEqual(on.push, { branches: ["main"] });
    assert.deepEqual(concurrency, { group: "deploy-production", "cancel-in-progress": false });
    const { production } = jobs;
    assert.deepEqual([production.needs, production.environment], ["ci", "production"]);
    assert.deepEqual(production.permissions, { contents: "read", "id-token": "write" });
    const text = JSON.stringify(jobs);
    assert.ok(!text.includes("secrets."), "a secret of GitHub's is used");
    const order = ["gcp-build", "google-github-actions/auth@", "npm run deploy -- production"];
    const places = order.map((step) => text.indexOf(step));
    assert.ok(!places.includes(-1));
    assert.deepEqual(
      places,
      places.toSorted((one, other) => one - other),
    );
  });

  it("audit every hour as an account that cannot deploy, without approval", () => {
    const { on, jobs } = parse(read(`${FOLDER}audit.yaml`));
    assert.match(on.schedule[0].cron, /^\d+ \* \* \* \*$/);
    const text = JSON.stringify(jobs);
    assert.match(text, /"service_account":"constancia-auditor@/);
    assert.doesNotMatch(text, /constancia-deployer|secrets\.|"environment"/);
    assert.ok(text.includes("npm run ops -- audit-cloud production"));
  });

  it("have scripts that the shell can parse", () => {
    for (const file of readdirSync(new URL(FOLDER, ROOT)))
      for (const { steps = [] } of Object.values<{ steps?: { run?: string }[] }>(
        parse(read(FOLDER + file)).jobs,
      ))
        for (const { run = "" } of steps) {
          // GitHub replaces these before the shell runs; no script contains any.
          assert.ok(!run.includes("${{"), `${file}: ${run}`);
          execFileSync("bash", ["-n"], { input: run, stdio: ["pipe", "ignore", "pipe"] });
        }
  });

  it("validate every stack of a pull request", () => {
    const { steps } = parse(read(`${FOLDER}ci.yaml`)).jobs.plan;
    const validate = steps.find(({ name }: { name?: string }) => name === "Validate").run;
    assert.match(
      validate,
      /^for stack in terraform\/changed\/\*; do\n(.*\n)+ +terraform .* validate\n/,
    );
  });

  const skip = findProgram("jq") ? false : "jq is not installed, which GitHub's runners have";
  it("add tests, duplication and findings to the summaries of their jobs", { skip }, () => {
    const sarif = (results: object[]) => JSON.stringify({ runs: [{ results }] });
    const result = {
      ruleId: "js/xss",
      message: { text: "Unsafe.\nMore" },
      locations: [
        { physicalLocation: { artifactLocation: { uri: "a.ts" }, region: { startLine: 7 } } },
      ],
    };
    const counts = { critical: 0, high: 1, moderate: 2, low: 3 };
    const found = {
      ".local/report/jscpd-report.md": "18 clones",
      "sarif/a.sarif": sarif([result]),
      "sarif/b.sarif": sarif([]),
      "audit.json": JSON.stringify({ metadata: { vulnerabilities: counts } }),
      "sbom.cdx.json": JSON.stringify({ components: [{}, {}] }),
      "secrets.json": '{"SourceMetadata":1}\n{"level":"info"}\n',
    };
    const wanted: [job: string, file: string, RegExp, without: RegExp][] = [
      ["test", "ci.yaml", /### Duplicated code\n18 clones/, /was not looked for/],
      [
        "codeql",
        "security.yaml",
        /### CodeQL, actions\n1 findings\n- `js\/xss`, a\.ts:7: Unsafe\.\n$/,
        /did not run to the end/,
      ],
      [
        "dependencies",
        "security.yaml",
        /\n\| 0 \| 1 \| 2 \| 3 \|\n\n2 packages are deployed/,
        /did not run to the end\.\n\nThere is no bill/,
      ],
      ["secrets", "security.yaml", /### Secrets in the history\n1 findings\n/, /was not searched/],
    ];
    for (const [job, file, whole, nothing] of wanted) {
      const { steps } = parse(read(FOLDER + file)).jobs[job];
      const step = steps.find(({ name = "" }) => /^Add .+ to the summary$/.test(name));
      assert.equal(step.if, "always()");
      assert.match(summarise(step.run, found), whole);
      assert.match(summarise(step.run, {}), nothing);
    }
  });

  it("run only scripts of package.json", () => {
    const { scripts } = JSON.parse(read("package.json"));
    for (const file of readdirSync(new URL(FOLDER, ROOT)))
      for (const [, script = ""] of read(FOLDER + file).matchAll(
        /npm run (?:--\S+ "\S+" )?([\w:-]+)/g,
      ))
        assert.ok(script in scripts, `${file}: ${script}`);
  });
});
