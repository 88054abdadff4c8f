import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type AppEngine, buildAppEngine, QUICKLY } from "../../test/support/stand-in-app-engine.ts";

const ALL_OLD = { default: { bbbbbbb: 100 }, subscriber: { bbbbbbb: 100 } };
const ALL_NEW = { default: { ccccccc: 100 }, subscriber: { ccccccc: 100 } };
const OLD = "v20260102-000000-bbbbbbb";
const OLDER = "v20260101-000000-aaaaaaa";
const CHANGES = /^app (deploy|services set-traffic|versions delete)/;

describe("npm run rollout", { concurrency: 3 }, () => {
  const built: AppEngine[] = [];
  after(() => {
    for (const one of built) one.close();
  });
  async function build(options: Parameters<typeof buildAppEngine>[0] = {}): Promise<AppEngine> {
    const appEngine = await buildAppEngine(options);
    built.push(appEngine);
    return appEngine;
  }

  const listChanges = (appEngine: AppEngine) =>
    appEngine
      .calls()
      .filter((call) => CHANGES.test(call))
      .map((call) =>
        call
          .replace(" --project=constancia-test --quiet", "")
          .replaceAll(/v\d{8}-\d{6}-c{7}/g, "NEW"),
      );

  it("deploys without traffic, tests, moves the subscriber and then the API, step by step", async () => {
    const appEngine = await build();
    const { status, out, err } = await appEngine.run();
    assert.equal(err, "");
    assert.equal(status, 0);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
    const getAccount = (name: string) =>
      `constancia-${name}@constancia-test.iam.gserviceaccount.com`;
    const move = (service: string, splits: string, by = "random") =>
      `app services set-traffic ${service} --splits=${splits} --split-by=${by}`;
    assert.deepEqual(listChanges(appEngine), [
      `app deploy app.yaml --no-promote --version=NEW --service-account=${getAccount("api")}`,
      `app deploy subscriber.yaml --no-promote --version=NEW --service-account=${getAccount("subscriber")}`,
      move("subscriber", `NEW=0.01,${OLD}=0.99`),
      move("subscriber", `NEW=0.1,${OLD}=0.9`),
      move("subscriber", "NEW=1"),
      move("default", `NEW=0.01,${OLD}=0.99`),
      move("default", `NEW=0.1,${OLD}=0.9`),
      move("default", "NEW=1"),
      move("default", "NEW=1", "ip"),
    ]);
    assert.equal(appEngine.api.left(), 0, "what the smoke test made is gone");
    assert.match(out, /GET of the receipt: 200/);
    assert.match(out, /ok {5}error ratio 0\.00 % \(0 of 150 requests; SLO 1 %\)/);
    assert.match(out, /based on 150 requests and 50 settled writes/);
    assert.equal(out.match(/passed: /g)?.length, 6);
  });

  it("takes the steps of --steps", async () => {
    const appEngine = await build();
    assert.equal((await appEngine.run("--steps=50,100")).status, 0);
    const moves = listChanges(appEngine).filter((call) => call.includes("=0.5"));
    assert.equal(moves.length, 2);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
  });

  it("deploys into an empty application, where the first version has all traffic at once", async () => {
    const appEngine = await build({ good: [] });
    const { status, out } = await appEngine.run();
    assert.equal(status, 0);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
    assert.equal(out.match(/passed: /g)?.length, 1);
    appEngine.check("ddddddd");
    assert.equal((await appEngine.run("--steps=10,100")).status, 0);
    assert.deepEqual(Object.keys(appEngine.traffic().default ?? {}), ["ddddddd"]);
  });

  it("retries the first deploy of each service once, because grants spread slowly, and says so", async () => {
    const appEngine = await build({ good: [] });
    const isDeploy = (call: string) => call.startsWith("app deploy");
    appEngine.plan({ faults: [{ matching: "app deploy", kind: "fail" }] });
    const failed = await appEngine.run();
    assert.equal(failed.status, 1);
    assert.match(
      failed.out,
      /the first version of the service, and grants .*: retrying once in 0 s/,
    );
    assert.equal(appEngine.calls().filter(isDeploy).length, 2);
    appEngine.forgetCalls();
    appEngine.plan({ faults: [{ at: 3, kind: "fail" }] });
    const { status, out } = await appEngine.run();
    assert.equal(status, 0, out);
    assert.deepEqual(
      appEngine
        .calls()
        .filter(isDeploy)
        .map((call) => call.split(" ")[2]),
      ["app.yaml", "subscriber.yaml", "subscriber.yaml"],
    );
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
  });

  it("does not retry a deploy to a service that has versions", async () => {
    const appEngine = await build();
    appEngine.plan({ faults: [{ matching: "app deploy", kind: "fail" }] });
    assert.equal((await appEngine.run()).status, 1);
    assert.equal(appEngine.calls().filter((call) => call.startsWith("app deploy")).length, 1);
  });

  it("says that a first version that fails has no version to go back to", async () => {
    const appEngine = await build({ good: [] });
    appEngine.api.answerWrongly({ "POST waited": 500 });
    const { status, out } = await appEngine.run();
    assert.equal(status, 1);
    assert.match(out, /default has no earlier version to move the traffic to/);
    appEngine.api.answerWrongly({});
    assert.equal((await appEngine.run()).status, 0);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
  });

  it("gives no traffic to a version that does not become ready", async () => {
    const appEngine = await build();
    appEngine.api.answerWrongly({ ready: 404 });
    const { status, err } = await appEngine.run();
    assert.equal(status, 1);
    assert.match(err, /GET \/health\/ready returned 404 instead of 200/);
    assert.deepEqual(appEngine.traffic(), ALL_OLD);
    assert.ok(!listChanges(appEngine).some((call) => call.includes("set-traffic")));
  });

  it("gives an API that fails the smoke test no traffic, takes its subscriber's away, and says why", async () => {
    const faults: [Record<string, number | "nothing">, RegExp][] = [
      [{ "POST waited": 202 }, /POST with Prefer: wait returned 202 instead of 201/],
      [
        { "POST waited": 401 },
        /returned 401 .* CONSTANCIA_API_KEY to an API key with the scopes \*:read and \*:write/,
      ],
      [{ GET: 500 }, /GET of the item returned 500 instead of 200/],
      [{ "PUT waited": 412 }, /PUT with If-Match and Prefer: wait returned 412 instead of 200/],
      [{ receipt: 0 }, /the receipt says dead/],
      [{ "POST waited": "nothing" }, /POST http:\S+ got no response/],
      [{ "DELETE waited": 500 }, /DELETE with Prefer: wait returned 500 instead of 204/],
    ];
    const appEngine = await build();
    for (const [answers, sentence] of faults) {
      appEngine.api.answerWrongly(answers);
      const { status, err } = await appEngine.run("--steps=100");
      assert.equal(status, 1);
      assert.match(err, sentence);
      assert.deepEqual(appEngine.traffic(), ALL_OLD);
      assert.ok(!listChanges(appEngine).some((call) => call.includes("set-traffic default")));
      assert.equal(appEngine.api.left(), answers["DELETE waited"] === undefined ? 0 : 1);
    }
    appEngine.api.answerWrongly({});
    assert.equal((await appEngine.run("--steps=100")).status, 0);
    const deploys = listChanges(appEngine).filter((call) => call.startsWith("app deploy"));
    assert.equal(deploys.length, 2, "the version of this commit is there already");
  });

  it("rolls back a breach of each SLO, of either service, at the first step and the last", async () => {
    const breaches: [string, object][] = [
      ["error ratio 2.60 %", { errors: 4 }],
      ["answer p99 5000 ms", { slow: 3 }],
      ["lag p99 60000 ms", { late: 2 }],
      ["dead messages 1", { dead: 1 }],
    ];
    for (const [index, [sentence, figures]] of breaches.entries()) {
      const percent = index % 2 === 0 ? 10 : 100;
      const appEngine = await build();
      appEngine.plan({ figures: [{ service: "default", percent, ...figures }] });
      const { status, out, err } = await appEngine.run("--steps=10,100");
      assert.equal(status, 1, sentence);
      assert.match(err, new RegExp(`^At ${percent} % of default: ${sentence}`));
      assert.match(out, new RegExp(`BREACH ${sentence}`));
      assert.match(out, /the traffic of subscriber is on v20260102-000000-bbbbbbb, none on v/);
      assert.deepEqual(appEngine.traffic(), ALL_OLD);
      const back = listChanges(appEngine).slice(-2);
      assert.deepEqual(back, [
        `app services set-traffic default --splits=${OLD}=1 --split-by=ip`,
        `app services set-traffic subscriber --splits=${OLD}=1 --split-by=ip`,
      ]);
      appEngine.close();
    }
    const appEngine = await build();
    appEngine.plan({ figures: [{ service: "subscriber", percent: 1, dead: 1 }] });
    const { status, err } = await appEngine.run();
    assert.equal(status, 1);
    assert.match(err, /^At 1 % of subscriber: dead messages 1 \(SLO 0\)\.\n$/);
    assert.deepEqual(appEngine.traffic(), ALL_OLD);
    assert.ok(!listChanges(appEngine).some((call) => call.includes("set-traffic default")));
  });

  it("leaves the subscriber where it is as long as the API cannot be moved back", async () => {
    for (const kind of ["fail", "ignore"] as const) {
      const appEngine = await build();
      appEngine.plan({
        figures: [{ service: "default", percent: 10, dead: 1 }],
        faults: [{ matching: `default --splits=${OLD}=1`, kind }],
      });
      const { status, err } = await appEngine.run("--steps=10,100");
      assert.equal(status, 3);
      const [api, subscriber] = err.trim().split("\n").slice(-2);
      assert.match(api ?? "", /set-traffic default /);
      assert.match(subscriber ?? "", /set-traffic subscriber /);
      const backs = listChanges(appEngine).filter((call) => call.includes(`=${OLD}=1`));
      assert.equal(backs.length, 5);
      assert.deepEqual(appEngine.traffic().subscriber, { ccccccc: 100 });
      appEngine.close();
    }
  });

  it("deletes a failed version before it deploys the next", async () => {
    const appEngine = await build();
    appEngine.plan({ figures: [{ service: "default", percent: 10, errors: 50 }] });
    assert.equal((await appEngine.run("--steps=10,100")).status, 1);
    appEngine.plan({});
    appEngine.check("ddddddd");
    assert.equal((await appEngine.run("--steps=10,100")).status, 0);
    const ids = appEngine.versions("default").map((id) => id.slice(-7));
    assert.deepEqual(ids, ["aaaaaaa", "bbbbbbb", "ddddddd"]);
  });

  it("sends a bounded number of requests if clients send too few", async () => {
    const appEngine = await build();
    appEngine.plan({ always: { requests: 0, settled: 0 } });
    const { status, out, err } = await appEngine.run("--steps=10,100");
    assert.equal(err, "");
    assert.equal(status, 0);
    assert.equal(out.match(/too little traffic: sending 50 rounds/g)?.length, 4);
    assert.match(out, /based on 2\d\d requests and 100 settled writes/);
    assert.equal(appEngine.api.left(), 0);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
  });

  it("judges the worker pool that settles, before the API has traffic", async () => {
    const appEngine = await build();
    appEngine.plan({ always: { requests: 0, settled: 0 }, pool: {} });
    const args = ["--steps=10,100", "--delivery=worker-pool"];
    const { status, out, err } = await appEngine.run(...args);
    assert.equal(status, 0, err);
    assert.deepEqual(out.match(/passed: .*/g), [
      "passed: 100 % of subscriber",
      "passed: 10 % of default",
      "passed: 100 % of default",
    ]);
    assert.match(out, /based on \d+ requests and 100 settled writes/);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
    appEngine.plan({ always: { requests: 0, settled: 0 }, pool: { dead: 1 } });
    appEngine.check("ddddddd");
    appEngine.forgetCalls();
    const bad = await appEngine.run(...args);
    assert.equal(bad.status, 1);
    assert.match(bad.err, /^At 100 % of subscriber: dead messages 1/);
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
    assert.ok(!listChanges(appEngine).some((call) => call.includes("set-traffic default")));
  });

  it("does not pass a version without enough evidence", async () => {
    const appEngine = await build();
    appEngine.plan({ always: { settled: 19, requests: 99, isBlind: true } });
    const blind = await appEngine.run("--steps=10,100");
    assert.equal(blind.status, 1);
    assert.match(blind.out, /passed: 10 % of subscriber/);
    assert.equal(blind.err, "Not enough evidence: 19 of 20 settled writes.\n");
    assert.deepEqual(appEngine.traffic(), ALL_OLD);

    appEngine.plan({ always: { settled: 0 } });
    appEngine.api.answerWrongly({ DELETE: 500 });
    const { status, err } = await appEngine.run("--steps=100");
    assert.equal(status, 1);
    assert.match(err, /50 of 50 rounds of requests failed, but at most 1 may; the first: DELETE/);
    assert.deepEqual(appEngine.traffic(), ALL_OLD);
  });

  it("allows a new version the latency of the running one", async () => {
    const appEngine = await build();
    appEngine.plan({ always: { requests: 0, slow: 200 } });
    const { status, out } = await appEngine.run("--steps=100");
    assert.equal(status, 0);
    assert.match(out, /ok {5}answer p99 5000 ms \(SLO 7500 ms\)/);
  });

  it("keeps the last N versions of each service, and deletes none with traffic", async () => {
    const good = Array.from({ length: 6 }, (_, day) => `v2026010${day + 1}-000000-000000${day}`);
    const appEngine = await build({ good: ["20251231t120000", ...good] });
    assert.equal((await appEngine.run("--steps=100", "--keep=3")).status, 0);
    for (const service of ["default", "subscriber"])
      assert.deepEqual(
        appEngine.versions(service).map((id) => id.slice(-7)),
        ["t120000", "0000004", "0000005", "ccccccc"],
      );
  });

  it("succeeds even if old versions cannot be deleted", async () => {
    const appEngine = await build();
    appEngine.plan({ faults: [{ matching: "versions delete", kind: "fail" }] });
    const { status, out } = await appEngine.run("--steps=100", "--keep=2");
    assert.equal(status, 0);
    assert.match(out, /old versions were not deleted; the next rollout deletes them: gcloud/);
  });

  it("prints with --dry-run the commands that it would run, and changes nothing", async () => {
    const appEngine = await build();
    const { status, out } = await appEngine.run("--dry-run", "--keep=2");
    assert.equal(status, 0);
    assert.deepEqual(listChanges(appEngine), []);
    const said = [...out.matchAll(/would run: (.*)$/gm)].map(([, command]) => command);
    appEngine.forgetCalls();
    assert.equal((await appEngine.run("--keep=2")).status, 0);
    const done = appEngine.calls().filter((call) => CHANGES.test(call));
    const unname = (call = "") => call.replaceAll(/v\d{8}-\d{6}-c{7}/g, "NEW");
    assert.deepEqual(
      said.map(unname),
      done.map((call) => unname(`gcloud ${call}`)),
    );
    assert.deepEqual(appEngine.traffic(), ALL_NEW);
    appEngine.forgetCalls();
    const back = await appEngine.run("--rollback", "--dry-run");
    assert.equal(back.status, 0);
    assert.equal(back.out.match(/would run: /g)?.length, 2);
    assert.deepEqual(listChanges(appEngine), []);
  });

  it("prints with --dry-run that it would first undo an open rollout", async () => {
    const appEngine = await build();
    appEngine.plan({ faults: [{ matching: "set-traffic default", kind: "kill-after" }] });
    await appEngine.run("--steps=10,100");
    appEngine.plan({});
    appEngine.check("ddddddd");
    appEngine.forgetCalls();
    const { status, out } = await appEngine.run("--dry-run", "--steps=10,100");
    assert.equal(status, 0);
    assert.match(out, new RegExp(`would run: .*set-traffic default --splits=${OLD}=1`));
    assert.match(out, new RegExp(`would run: .*subscriber --splits=v\\S+ddddddd=0.1,${OLD}=0.9`));
    assert.deepEqual(listChanges(appEngine), []);
  });

  it("shows with --status the versions with traffic and an open rollout", async () => {
    const appEngine = await build();
    const { status, out } = await appEngine.run("--status");
    assert.equal(status, 0);
    const line = `100 %  ${OLD}  2026-01-01T00:00:00.001Z`;
    assert.equal(out, `subscriber  ${line}\ndefault     ${line}\nNo rollout is open.\n`);
    appEngine.plan({ faults: [{ matching: "set-traffic default", kind: "kill-after" }] });
    await appEngine.run("--steps=10,100");
    appEngine.plan({});
    const open = await appEngine.run("--status");
    assert.match(open.out, /default {6}10 % {2}v\S+-ccccccc/);
    assert.match(
      open.out,
      /The rollout of v\S+-ccccccc is not finished\. Run it again, or run npm run/,
    );
  });

  it("goes back by one version with --rollback, each time", async () => {
    const appEngine = await build();
    assert.equal((await appEngine.run("--steps=100")).status, 0);
    assert.equal((await appEngine.run("--rollback")).status, 0);
    assert.deepEqual(appEngine.traffic(), ALL_OLD);
    assert.match((await appEngine.run("--status")).out, /No rollout is open/);
    assert.equal((await appEngine.run("--rollback")).status, 0);
    assert.deepEqual(appEngine.traffic().default, { [OLDER.slice(-7)]: 100 });
    const { status, err } = await appEngine.run("--rollback");
    assert.equal(status, 1);
    assert.equal(err, "There is no older version to go back to.\n");
  });

  it("stops if another person moves the traffic meanwhile", async () => {
    const appEngine = await build();
    const { child, ended } = appEngine.start([...QUICKLY, "--hold=3600", "--steps=10,100"]);
    let out = "";
    await new Promise<void>((resolve) =>
      child.stdout.on("data", (chunk) => {
        out += chunk;
        if (out.includes("holding for")) resolve();
      }),
    );
    child.kill("SIGKILL");
    await ended;
    // The same commit goes on; a person puts the traffic back between its command and its check.
    appEngine.plan({ faults: [{ matching: "set-traffic subscriber", kind: "ignore" }] });
    appEngine.change(({ services }) => {
      for (const version of services.subscriber?.versions ?? [])
        version.share = version.id === OLD ? 1 : 0;
    });
    const { status, err } = await appEngine.run("--steps=10,100");
    assert.equal(status, 1);
    assert.match(err, /^v\S+ has 0 % of subscriber instead of 10 %/);
    assert.deepEqual(appEngine.traffic(), ALL_OLD);
  });

  it("prints its help, and answers wrong usage on standard error with status 2", async () => {
    const appEngine = await build();
    const help = await appEngine.start(["--help"]).ended;
    assert.equal(help.status, 0);
    for (const part of ["--steps 1,10,100", "--rollback", "--status", "--dry-run", "Exit status"])
      assert.ok(help.out.includes(part), part);
    const wrong = await appEngine.start(["--status", "--rollback"]).ended;
    assert.deepEqual([wrong.status, wrong.out], [2, ""]);
    assert.match(wrong.err, /^--status and --rollback cannot be combined\.\n\nRolls out/);
    const { status, err } = await appEngine.start([]).ended;
    assert.equal(status, 2);
    assert.match(err, /^No project is set\./);
    assert.deepEqual(appEngine.calls(), ["config get-value project --quiet"]);
  });

  it("reports a missing gcloud, commit, address or answer in one sentence", async () => {
    const appEngine = await build();
    const noGcloud = await appEngine.start(QUICKLY, { PATH: "/nowhere" }).ended;
    assert.equal(noGcloud.status, 1);
    assert.match(noGcloud.err, /^git status failed\. Without git, use --version NAME\.\n$/);
    const version = "--version=v20260103-000000-ccccccc";
    const bare = await appEngine.start([...QUICKLY, version], { PATH: "/nowhere" }).ended;
    assert.match(bare.err, /^gcloud is not on the PATH\. Install the Google Cloud CLI/);
    const faults: [Parameters<AppEngine["plan"]>[0], RegExp][] = [
      [
        { faults: [{ matching: "versions list", kind: "fail" }] },
        /^gcloud app versions list .* failed \(status 1\): ERROR: .* the plan says so\n$/,
      ],
      [
        { faults: [{ matching: "versions list", kind: "garbage" }] },
        /^gcloud app versions list .* printed no valid JSON\.\n$/,
      ],
    ];
    for (const [plan, sentence] of faults) {
      appEngine.plan(plan);
      const { status, err } = await appEngine.run(version);
      assert.equal(status, 1);
      assert.match(err, sentence);
    }
    appEngine.plan({});
    appEngine.change((state) => {
      state.url = `https://${"a".repeat(64)}.uc.r.appspot.com`;
    });
    const long = await appEngine.run(version);
    assert.match(long.err, /has no certificate: its first label is longer than 63 characters/);
    assert.deepEqual(appEngine.traffic(), ALL_OLD);
  });
});
