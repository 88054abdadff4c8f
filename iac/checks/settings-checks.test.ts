import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PUBLISH, SETTLE, WORST_MEMORY_MB } from "../../common/limits.ts";
import { CONNECTION_LIMITS } from "../environments.ts";
import { synthesise } from "../synth.ts";
import { settingsWith } from "../testing.ts";
import { checkSettings, RESERVED_CONNECTIONS } from "./settings-checks.ts";

/** The faults that are found after a change. */
const getFaults = (changes: Parameters<typeof settingsWith>[0]) =>
  checkSettings(settingsWith(changes));

describe("synth refuses", () => {
  it("more connections than the database allows, for both services and two versions", () => {
    // The smallest, which leaves 210 of its 250.
    const tier = "db-f1-micro";
    const room = CONNECTION_LIMITS[tier] - RESERVED_CONNECTIONS;
    const with_ = (maxInstances: number) =>
      getFaults({
        environment: { tier },
        api: { maxInstances, poolSize: 5 },
        subscriber: { maxInstances: 1, poolSize: 5 },
      });
    assert.equal(room, 210);
    assert.deepEqual(with_(20), []);
    assert.deepEqual(with_(21), [
      "app.yaml, subscriber.yaml: 2 versions of 21 instances with 5 connections and 1 with 5 need" +
        " 220, but db-f1-micro allows 250, of which 40 are reserved.",
    ]);
  });

  it("more connections than the database allows, with a worker pool", () => {
    const environment = { tier: "db-f1-micro", delivery: "worker-pool" } as const;
    const api = { maxInstances: 1, poolSize: 5 };
    const subscriber = { maxInstances: 1_000, poolSize: 5 };
    const of = (workerPoolInstances: number) =>
      getFaults({ environment: { ...environment, workerPoolInstances }, api, subscriber });
    assert.deepEqual(of(20), []);
    assert.match(
      String(of(21)),
      /^app\.yaml, iac\/environments\.ts: .* 21 with 5 need 220, .* 40 are reserved\.$/,
    );
  });

  it("an API of which nobody has said who may call it, or how often", () => {
    const find = (variables: Record<string, string>) => getFaults({ api: { variables } });
    const API_KEYS_SECRET = "projects/some-project/secrets/constancia-api-keys/versions/latest";
    assert.deepEqual(find({ ACCESS: "public" }), []);
    assert.deepEqual(find({ ACCESS: "keys", API_KEYS_SECRET, RATE_LIMIT_PER_MINUTE: "0" }), []);
    assert.deepEqual(find({ ACCESS: "" }), [
      "app.yaml: ACCESS is missing: public, public-reads or keys must say who may call the API.",
    ]);
    assert.match(
      String(find({ ACCESS: "keys" })),
      /^app.yaml: ACCESS is "keys", so that the rollout/,
    );
    for (const limit of ["", "0"])
      assert.match(
        String(find({ ACCESS: "public-reads", API_KEYS_SECRET, RATE_LIMIT_PER_MINUTE: limit })),
        /^app.yaml: RATE_LIMIT_PER_MINUTE must be above 0/,
      );
  });

  it("a cron that comes too rarely where items expire, or too often where none do", () => {
    const cronOf = (schedule: string) =>
      ["default", "subscriber"].map((target) => ({ url: "/_ah/sweep", target, schedule }));
    const [hourly, minutely] = [cronOf("every 1 hours"), cronOf("every 1 minutes")];
    assert.deepEqual(getFaults({ cron: hourly, hasExpiry: false }), []);
    assert.deepEqual(getFaults({ cron: minutely, hasExpiry: true }), []);
    assert.deepEqual(getFaults({ cron: hourly, hasExpiry: true }), [
      'cron.yaml: the job /_ah/sweep of default has the schedule "every 1 hours", but must have' +
        ' "every 1 minutes", because a collection\'s items expire.',
      'cron.yaml: the job /_ah/sweep of subscriber has the schedule "every 1 hours", but must have' +
        ' "every 1 minutes", because a collection\'s items expire.',
    ]);
    assert.equal(getFaults({ cron: minutely, hasExpiry: false }).length, 2);
    assert.deepEqual(getFaults({ cron: hourly.slice(0, 1), hasExpiry: false }), [
      "cron.yaml: the job /_ah/sweep of subscriber is missing, but must have" +
        ' "every 1 hours", because no collection\'s items expire.',
    ]);
  });

  it("more requests at once than the queue has places", () => {
    const api = (maxConcurrentRequests: number) =>
      getFaults({ api: { maxConcurrentRequests, instanceClass: "F4_1G" } }).filter((fault) =>
        fault.includes("maxQueued"),
      );
    assert.deepEqual(api(PUBLISH.maxQueued), []);
    assert.deepEqual(api(PUBLISH.maxQueued + 1), [
      `app.yaml: automatic_scaling.max_concurrent_requests is ${PUBLISH.maxQueued + 1}, but` +
        ` PUBLISH.maxQueued in common/limits.ts is ${PUBLISH.maxQueued}.`,
    ]);
    const subscriber = (delivery: "push" | "worker-pool") =>
      getFaults({
        environment: { delivery },
        subscriber: { maxConcurrentRequests: SETTLE.maxQueued + 1, instanceClass: "F4_1G" },
      }).filter((fault) => fault.includes("maxQueued"));
    assert.deepEqual(subscriber("push"), [
      `subscriber.yaml: automatic_scaling.max_concurrent_requests is ${SETTLE.maxQueued + 1}, but` +
        ` SETTLE.maxQueued in common/limits.ts is ${SETTLE.maxQueued}.`,
    ]);
    assert.deepEqual(subscriber("worker-pool"), []);
  });

  it("an instance class that is unknown or has too little memory", () => {
    const api = (instanceClass: string) => getFaults({ api: { instanceClass } });
    assert.deepEqual(api("F2"), []);
    const tooLittle =
      `instance_class F1 has 384 MB, but the process may need ${WORST_MEMORY_MB}` +
      ' (docs/architecture.md, "Memory").';
    assert.deepEqual(api("F1"), [`app.yaml: ${tooLittle}`]);
    assert.match(
      String(api("F3")),
      /^app\.yaml: instance_class F3 must be one of F1, F2, F4, F4_1G\.$/,
    );
    for (const delivery of ["push", "worker-pool"] as const) {
      const subscriber = (instanceClass: string, maxConcurrentRequests: number) =>
        getFaults({
          environment: { delivery },
          subscriber: { instanceClass, maxConcurrentRequests },
        });
      assert.deepEqual(subscriber("F1", 200), [`subscriber.yaml: ${tooLittle}`]);
      assert.deepEqual(subscriber("F2", 1_000), []);
    }
  });

  it("files that name resources that the stacks do not create", () => {
    const password = "projects/other/secrets/constancia-mysql-password/versions/latest";
    const elsewhere =
      "mysql://constancia@localhost/constancia?socketPath=/cloudsql/some-project:us-east1:latam-database";
    const cases: [Parameters<typeof settingsWith>[0], RegExp][] = [
      [
        { api: { serviceAccount: "x@y" } },
        /^app\.yaml: service_account is "x@y", but must be "constancia-api@/,
      ],
      [
        { variables: { MYSQL_URL: elsewhere } },
        /^app\.yaml: the socket of MYSQL_URL is "some-project:us-east1:.*", but must be "some-project:south/,
      ],
      [
        { subscriber: { variables: { MYSQL_URL: elsewhere.replace("//constancia@", "//root@") } } },
        /subscriber\.yaml: the user of MYSQL_URL is "root", but must be "constancia"\.$/,
      ],
      [
        { variables: { MYSQL_PASSWORD_SECRET: password } },
        /^app\.yaml: the project of MYSQL_PASSWORD_SECRET is "other", but must be "some-project"\./,
      ],
      [
        { subscriber: { variables: { PUBSUB_TOPIC: "other" } } },
        /^subscriber\.yaml: PUBSUB_TOPIC is "other", but must be "constancia-writes"\.$/,
      ],
      [
        { api: { variables: { RECEIPT_RETENTION_DAYS: "60" } } },
        /^subscriber\.yaml: RECEIPT_RETENTION_DAYS is "30", but must be "60"\.$/,
      ],
      [
        { variables: { PUSH_SERVICE_ACCOUNT: "stranger@example.com" } },
        /^subscriber\.yaml: PUSH_SERVICE_ACCOUNT is "stranger@example\.com", but must be "constancia-push@/,
      ],
    ];
    for (const [changes, sentence] of cases) {
      assert.match(getFaults(changes).join("\n"), sentence);
    }
  });

  it("to write anything if any check fails", () => {
    const refuse = (changes: Parameters<typeof settingsWith>[0]) =>
      assert.throws(() => synthesise(settingsWith(changes)), { name: "UnsafeSettingsError" });
    refuse({ api: { instanceClass: "F1" } });
    refuse({ environment: { toleratedOutageHours: 200 } });
    assert.doesNotThrow(() => synthesise(settingsWith()));
  });
});
