import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { before, describe, it } from "node:test";
import { findEnvironment } from "../../iac/environments.ts";
import { readSettings } from "../../iac/settings.ts";
import { synthesiseUnchecked } from "../../iac/synth.ts";
import { STACKS, type Stacks } from "../../iac/terraform-json.ts";
import { CutError, StandInProject } from "../../test/support/stand-in-project.ts";

const SCRIPT = join(import.meta.dirname, "..", "..", "deploy", "deploy.sh");
const SECRET = "constancia-mysql-password";
const STAGING = synthesiseUnchecked(readSettings(findEnvironment("staging")));
const ORDERS = ["first", "last"] as const;
/** Deploys at the same time. */
const AT_ONCE = 2;

/** Where a deploy is cut: after that call, or in `terraform apply` of `service` after so many resources. */
type Cut = { call?: number; resources?: number };

describe("what a cut apply leaves, the next one completes", () => {
  for (const stack of STACKS)
    for (const order of ORDERS)
      it(`${stack}, where Terraform takes the ${order} of those that it could create`, () => {
        const total = new StandInProject(STAGING, order).listMissing(stack).length;
        for (let most = 0; most < total; most += 1) {
          const project = new StandInProject(STAGING, order);
          assert.throws(() => applyOnce(project, stack, most), CutError);
          applyOnce(project, stack);
          assert.deepEqual(project.listMissing(stack), []);
          assert.equal(project.userPassword, project.secret, `after ${most} resources`);
        }
      });

  it("shows a password that is used before it is kept", () => {
    const stacks: Stacks = structuredClone(STAGING);
    delete stacks.service.resource?.google_sql_user?.user?.depends_on;
    const project = new StandInProject(stacks, "last");
    while (project.userPassword === undefined)
      assert.throws(() => applyOnce(project, "service", 1), CutError);
    assert.equal(project.secret, undefined);
    applyOnce(project, "service");
    assert.notEqual(project.userPassword, project.secret);
    assert.throws(() => project.migrate(), /Access denied/);
  });

  /** As deploy.sh does: with the password that is kept, or a new one. */
  function applyOnce(project: StandInProject, stack: keyof Stacks, most?: number): void {
    const password = project.secret ?? randomBytes(24).toString("hex");
    project.apply(stack, { password, areServicesDeployed: true }, most);
  }
});

describe("a deploy that is killed, and run again", { concurrency: AT_ONCE }, async () => {
  let calls: string[] = [];
  before(async () => {
    calls = (await deploy(new StandInProject(STAGING))).calls;
  });

  it("ends well, wherever it was killed", async () => {
    assert.ok(calls.length > 12, calls.join("\n"));
    await runAll(calls.map((_, index) => ({ call: index + 1 })));
  });

  it("ends well, wherever the first apply was cut", () =>
    runAll([1, 2, 3].map((resources) => ({ resources }))));

  async function runAll(cuts: Cut[]): Promise<void> {
    const work = cuts.values();
    const run = async () => {
      for (const cut of work) await cutAndRunAgain(cut);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, run));
  }
});

async function cutAndRunAgain(cut: Cut): Promise<void> {
  const project = new StandInProject(STAGING, "last");
  const killed = await deploy(project, cut);
  const where = `after ${killed.calls.at(-1)} ${JSON.stringify(cut)}`;
  assert.notEqual(killed.status, 0, where);
  const again = await deploy(project);
  assert.equal(again.status, 0, `${where}: ${again.output}`);
  assert.deepEqual(project.services, ["default", "subscriber"]);
  assert.ok(project.isMigrated && project.hasCron, where);
  // How the services are reached is set by the first deploy that finds them.
  for (const stack of ["service", "observability"] as const)
    assert.deepEqual(project.listMissing(stack, false), [], where);
}

/** Runs deploy.sh with programs that ask this process. */
async function deploy(project: StandInProject, cut: Cut = {}) {
  const calls: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), "constancia-interrupted-"));
  const server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (!text.endsWith("\n\n")) return;
      const [program = "", password = "", deployed = "", ...args] = text.slice(0, -2).split("\n");
      // The proxy runs in the background, so its place among the calls is not always the same.
      const isCounted = !(program === "cloud-sql-proxy" && args[0] !== "wait");
      if (isCounted) calls.push([program, ...args].join(" "));
      const variables = { password, areServicesDeployed: deployed === "true" };
      try {
        const out = perform(project, [program, ...args], variables, cut.resources);
        if (isCounted && calls.length === cut.call) child.kill("SIGKILL");
        socket.end(`0\n${out}`);
      } catch (error) {
        if (!(error instanceof CutError)) throw error;
        socket.end(`1\n${error.message}`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  installPrograms(folder, (server.address() as AddressInfo).port);
  const child = spawn("bash", [SCRIPT, "staging"], {
    env: {
      PATH: [folder, dirname(process.execPath), process.env.PATH].join(":"),
      CI: "true",
    },
  });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const output = await Promise.all([readText(child.stdout), readText(child.stderr)]);
  const status = await closed;
  server.close();
  rmSync(folder, { recursive: true });
  return { status, calls, output: output.join("") };
}

/** What one call does to the project, and what it prints. */
function perform(
  project: StandInProject,
  call: string[],
  variables: Parameters<StandInProject["apply"]>[1],
  resources: number | undefined,
): string {
  const line = call.join(" ");
  const [, stack] = /^terraform -chdir=\S+\/([\w-]+) apply/.exec(line) ?? [];
  if (stack)
    project.apply(stack as keyof Stacks, variables, stack === "service" ? resources : undefined);
  if (line.startsWith("gcloud secrets list"))
    return project.listMissing("service").includes("google_secret_manager_secret.mysql-password")
      ? "projects/42/secrets/another\n"
      : `projects/42/secrets/${SECRET}\n`;
  if (line.startsWith("gcloud secrets versions list")) return project.secret ? "1\n" : "";
  if (line.startsWith("gcloud secrets versions access")) return `${project.secret}\n`;
  if (line.startsWith("gcloud app services list")) return project.services.join("\n");
  if (line.startsWith("gcloud app deploy cron.yaml")) project.hasCron = true;
  if (line.startsWith("npm run --silent migrate")) project.migrate();
  if (line.startsWith("npm run --silent rollout")) project.services = ["default", "subscriber"];
  return "";
}

function installPrograms(folder: string, port: number): void {
  for (const program of ["gcloud", "terraform", "cloud-sql-proxy", "npm"]) {
    const file = join(folder, program);
    writeFileSync(
      file,
      `#!/usr/bin/env bash
exec 3<>/dev/tcp/127.0.0.1/${port} || exit 1
printf '%s\\n' ${program} "\${TF_VAR_mysql_password:-none}" "\${TF_VAR_services_deployed:-unset}" "$@" "" >&3
read -r status <&3
[ "$status" = 0 ] && exec cat <&3
cat <&3 >&2
exit "$status"
`,
    );
    chmodSync(file, 0o755);
  }
}
