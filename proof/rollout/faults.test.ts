import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import {
  type AppEngine,
  buildAppEngine,
  type Ended,
  QUICKLY,
} from "../../test/support/stand-in-app-engine.ts";
import type { Fault, Plan } from "../../test/support/stand-in-application.ts";

const ALL_OLD = { default: { bbbbbbb: 100 }, subscriber: { bbbbbbb: 100 } };
const ALL_NEW = { default: { ccccccc: 100 }, subscriber: { ccccccc: 100 } };
const ALL_NEXT = { default: { ddddddd: 100 }, subscriber: { ddddddd: 100 } };
const STEPS = "--steps=10,100";
const BREACH: Plan = { figures: [{ service: "default", percent: 100, errors: 50 }] };
const CHANGES = /^app (deploy|services set-traffic|versions delete)/;
/** Rollouts at a time: enough to keep the processors busy. */
const WORKERS = 4;

type Call = { number: number; command: string };

describe("npm run rollout, with failures", { concurrency: 2 }, () => {
  const built = new Set<AppEngine>();
  after(() => {
    for (const one of built) one.close();
  });

  /** An application and a plan for the first run in it, and what is to hold after that. */
  async function attempt(plan: Plan, check: (appEngine: AppEngine, ended: Ended) => Promise<void>) {
    const appEngine = await buildAppEngine();
    built.add(appEngine);
    appEngine.plan(plan);
    await check(appEngine, await appEngine.run(STEPS, "--keep=2"));
    appEngine.close();
    built.delete(appEngine);
  }

  /** The calls of a run by that plan. The three reads of a log at one look count as one. */
  async function listCalls(plan: Plan): Promise<Call[]> {
    let calls: Call[] = [];
    await attempt(plan, async (appEngine) => {
      calls = appEngine.calls().map((command, index) => ({ number: index + 1, command }));
    });
    const isLog = (call?: Call) => call?.command.startsWith("logging read") ?? false;
    return calls.filter((call, index) => !(isLog(call) && isLog(calls[index - 1])));
  }

  /** Runs the work for each call, a few at a time. */
  async function forEachCall(calls: readonly Call[], work: (call: Call) => Promise<void>) {
    assert.ok(calls.length > 3);
    const left = [...calls];
    const worker = async () => {
      for (let call = left.shift(); call; call = left.shift()) {
        const { number, command } = call;
        await work(call).catch((error: Error) => {
          throw new Error(`At call ${number}, gcloud ${command}:`, { cause: error });
        });
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
  }

  /** Whatever happened, a run without faults completes the rollout. */
  async function runsWell(appEngine: AppEngine): Promise<void> {
    appEngine.plan({});
    const { status, err } = await appEngine.run(STEPS);
    assert.equal(status, 0, err);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
  }

  const withFault = (plan: Plan, fault: Fault): Plan => ({ ...plan, faults: [fault] });

  it("ends with all or no traffic on a good version, whichever call of gcloud fails", async () => {
    await forEachCall(await listCalls({}), async ({ number, command }) => {
      const kind = number % 2 === 0 ? "fail" : "fail-after";
      await attempt(withFault({}, { at: number, kind }), async (appEngine, { status }) => {
        assert.deepEqual(appEngine.traffic(), status === 0 ? ALL_NEW : ALL_OLD);
        const isHarmless = !CHANGES.test(command) || /delete|split-by=ip/.test(command);
        assert.equal(status, isHarmless ? 0 : 1);
        if (status !== 0) await runsWell(appEngine);
      });
    });
  });

  it("leaves no traffic on a failed version, whichever call of the rollback fails", async () => {
    const calls = (await listCalls(BREACH)).filter(({ command }) => !/logging read/.test(command));
    for (const kind of ["fail", "fail-after", "ignore"] as const) {
      const changes = kind === "fail" ? calls : calls.filter((call) => CHANGES.test(call.command));
      await forEachCall(changes.slice(-6), async ({ number }) => {
        await attempt(withFault(BREACH, { at: number, kind }), async (appEngine, { status }) => {
          assert.equal(status, 1);
          assert.deepEqual(appEngine.traffic(), ALL_OLD);
        });
      });
    }
  });

  it("prints the commands to run if gcloud keeps failing, and the next run recovers", async () => {
    const calls = (await listCalls(BREACH)).filter(({ command }) => !/logging read/.test(command));
    // Of the reads between the changes, some: each such run waits for many processes.
    const some = calls.filter((call, index) => CHANGES.test(call.command) || index % 4 === 0);
    await forEachCall(some, async ({ number }) => {
      const plan = withFault(BREACH, { from: number, kind: "fail" });
      await attempt(plan, async (appEngine, { status, err }) => {
        if (status !== 3) {
          assert.equal(status, 1);
          assert.deepEqual(appEngine.traffic(), ALL_OLD);
        } else {
          const commands = [...err.matchAll(/^ {2}(gcloud .*)$/gm)].map(([, one = ""]) => one);
          assert.ok(commands.length > 0);
          appEngine.plan(BREACH);
          for (const command of commands) await type(appEngine, command);
          assert.deepEqual(appEngine.traffic(), ALL_OLD);
        }
        await runsWell(appEngine);
      });
    });
  });

  async function type(appEngine: AppEngine, command: string): Promise<void> {
    const env = { PATH: `${appEngine.bin}:/usr/bin:/bin` };
    await promisify(execFile)("sh", ["-c", command], { env });
  }

  it("continues after a crash at each step, before or after the command took effect", async () => {
    const calls = (await listCalls({})).filter(({ command }) => !/versions list/.test(command));
    await forEachCall(calls, async ({ number, command }) => {
      const kind = command.startsWith("app deploy")
        ? "kill-between"
        : number % 2 === 0
          ? "kill-before"
          : "kill-after";
      await attempt(withFault({}, { at: number, kind }), async (appEngine, { signal }) => {
        assert.equal(signal, "SIGKILL");
        await runsWell(appEngine);
        const deployed = appEngine.versions("default").filter((id) => id.endsWith("ccccccc"));
        const isMarked = command.includes("split-by=ip") && kind === "kill-after";
        const isFinished = isMarked || command.includes("delete");
        assert.equal(deployed.length, isFinished ? 2 : 1, "what was begun is gone on with");
      });
    });
  });

  it("after a crash, rolls back a bad version", async () => {
    const moves = (await listCalls({})).filter(({ command }) => /set-traffic/.test(command));
    // Once the last verdict was good and marked, a rollout of this commit is a new one.
    await forEachCall(moves.slice(0, -1), async ({ number }) => {
      const crash = withFault({}, { at: number, kind: "kill-after" });
      await attempt(crash, async (appEngine) => {
        appEngine.plan(BREACH);
        const { status } = await appEngine.run(STEPS);
        assert.equal(status, 1);
        assert.deepEqual(appEngine.traffic(), ALL_OLD);
      });
    });
  });

  it("after a crash, moves another commit's traffic back, or judges the version that has all of it", async () => {
    const moves = (await listCalls({})).filter(({ command }) => /set-traffic/.test(command));
    await forEachCall(moves, async ({ number }) => {
      const crash = withFault({}, { at: number, kind: "kill-after" });
      await attempt(crash, async (appEngine) => {
        appEngine.check("ddddddd");
        appEngine.plan({});
        const { status, out } = await appEngine.run(STEPS);
        assert.equal(status, 0, out);
        assert.deepEqual(appEngine.traffic(), ALL_NEXT);
        const isKept = appEngine.versions("default").some((id) => id.endsWith("ccccccc"));
        assert.equal(isKept, number >= (moves.at(-2)?.number ?? 0), "it was good, or never was");
      });
    });
  });

  it("after a crash at the last step, does not keep a bad version", async () => {
    const moves = (await listCalls({})).filter(({ command }) => /set-traffic/.test(command));
    const at = moves.at(-2)?.number as number;
    await attempt(withFault({}, { at, kind: "kill-after" }), async (appEngine) => {
      appEngine.check("ddddddd");
      // Whatever has all of `default` is bad: first what was cut off there, then the new one.
      appEngine.plan(BREACH);
      assert.equal((await appEngine.run(STEPS)).status, 1);
      assert.deepEqual(appEngine.traffic(), ALL_OLD);
      const ids = appEngine.versions("default").map((id) => id.slice(-7));
      assert.deepEqual(ids, ["aaaaaaa", "bbbbbbb", "ddddddd"]);
    });
  });

  it("after a crash at each step, --rollback puts all traffic back", async () => {
    const moves = (await listCalls({})).filter(({ command }) => /set-traffic/.test(command));
    await forEachCall(moves, async ({ number }) => {
      const crash = withFault({}, { at: number, kind: "kill-after" });
      await attempt(crash, async (appEngine) => {
        appEngine.plan({});
        assert.equal((await appEngine.run("--rollback")).status, 0);
        assert.deepEqual(appEngine.traffic(), ALL_OLD);
      });
    });
  });

  it("rolls back on a signal during a hold, whatever signals follow", async () => {
    for (const [signal, status] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      const appEngine = await buildAppEngine();
      built.add(appEngine);
      const { child, ended } = appEngine.start([...QUICKLY, "--hold=3600", "--pause=3600", STEPS]);
      const cues = ["holding for", "rolling back", "putting the traffic"];
      child.stdout.on("data", (chunk: Buffer) => {
        if (cues[0] && chunk.includes(cues[0]) && cues.shift()) child.kill(signal);
      });
      const end = await ended;
      assert.equal(end.status, status);
      assert.equal(end.err, `Interrupted by ${signal}.\n`);
      assert.match(end.out, /holding for \d+ s more; based on 150 requests/);
      assert.deepEqual(appEngine.traffic(), ALL_OLD);
    }
  });

  it("rolls back on a signal at any call of gcloud, and lets that one finish", async () => {
    const calls = (await listCalls({})).filter(({ command }) => CHANGES.test(command));
    await forEachCall(calls, async ({ number, command }) => {
      const plan = withFault({}, { at: number, kind: "signal" });
      await attempt(plan, async (appEngine, { status }) => {
        const isJudged = /delete|split-by=ip/.test(command);
        assert.deepEqual(appEngine.traffic(), isJudged ? ALL_NEW : ALL_OLD);
        if (!isJudged) assert.equal(status, 130);
      });
    });
  });

  it("rolls both services back if moving one of them fails", async () => {
    for (const kind of ["fail", "fail-after", "ignore"] as const) {
      const fault: Fault = { matching: "set-traffic default --splits=v2026112", kind };
      const plan = withFault({}, fault);
      await attempt(plan, async (appEngine, { status, out, err }) => {
        assert.equal(status, 1);
        const [, after = ""] = out.split("step: 10 % of default");
        assert.doesNotMatch(after, /based on/, "nothing is judged by a step that was not taken");
        assert.match(err, /set-traffic default .* failed|instead of 10 %/);
        assert.deepEqual(appEngine.traffic(), ALL_OLD);
        await runsWell(appEngine);
      });
    }
  });
});
