import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LEAST_RECEIPT_RETENTION_DAYS } from "../../common/limits.ts";
import { synthesiseUnchecked } from "../synth.ts";
import type { Properties, Stacks } from "../terraform-json.ts";
import { type ENVIRONMENT, settingsWith } from "../testing.ts";
import { checkStacks } from "./stack-checks.ts";

describe("synth refuses in the stacks", () => {
  /** The faults that are found after a change. */
  function faultsAfter(
    change: (stacks: Stacks) => void,
    environment: Partial<typeof ENVIRONMENT> = {},
  ): string[] {
    const settings = settingsWith({ environment });
    const stacks = synthesiseUnchecked(settings);
    assert.deepEqual(checkStacks(stacks, settings), []);
    change(stacks);
    return checkStacks(stacks, settings);
  }
  const getResources = ({ service }: Stacks, type: string) =>
    service.resource?.[type] as Record<string, Properties>;
  const settle = (stacks: Stacks) =>
    getResources(stacks, "google_pubsub_subscription").settle as Properties;
  const PLACE = "iac/service, google_pubsub_subscription.settle";

  it("an acknowledgement deadline shorter than the longest batches", () => {
    const after = (deadline: number | undefined, delivery: "push" | "worker-pool" = "push") =>
      faultsAfter((stacks) => (settle(stacks).ack_deadline_seconds = deadline), { delivery });
    assert.deepEqual(after(46), []);
    assert.deepEqual(after(45), [
      `${PLACE}: ack_deadline_seconds is 45, but 2 of the longest batches take 46 s, 5 s of each a` +
        " lock wait (common/limits.ts).",
    ]);
    assert.match(String(after(undefined)), /ack_deadline_seconds is 10, but/);
    // Pulled messages are not held while the database is unavailable.
    assert.deepEqual(after(36, "worker-pool"), []);
    assert.match(String(after(35, "worker-pool")), /is 35, but 2 of the longest batches take 36 s/);
  });

  it("retention that ends before the tolerated outage", () => {
    const after = (duration: string | undefined, toleratedOutageHours = 12) =>
      faultsAfter((stacks) => (settle(stacks).message_retention_duration = duration), {
        toleratedOutageHours,
      });
    assert.deepEqual(after("43201s"), []);
    assert.deepEqual(after("43200s"), [
      `${PLACE}: message_retention_duration is 12 h, but an outage of 12 h must be tolerated` +
        " (iac/environments.ts).",
    ]);
    // Pub/Sub's default is seven days.
    assert.deepEqual(after(undefined), []);
  });

  it("receipts that a message outlives, on its topic, its subscription or as a dead letter", () => {
    const after = (days: string | undefined, change: (stacks: Stacks) => void = () => {}) => {
      const variables: Record<string, string> =
        days === undefined ? {} : { RECEIPT_RETENTION_DAYS: days };
      const settings = settingsWith({ variables });
      const stacks = synthesiseUnchecked(settings);
      change(stacks);
      return checkStacks(stacks, settings).filter((fault) => fault.includes("RECEIPT_RETENTION"));
    };
    const of = (days: number | string, needed: number) =>
      ["app.yaml", "subscriber.yaml"].map(
        (file) =>
          `${file}: RECEIPT_RETENTION_DAYS is ${days}, but must be at least ${needed}: Pub/Sub keeps` +
          ` a message for up to ${needed - 1} days (${PLACE}).`,
      );
    assert.deepEqual(after(undefined), []);
    assert.deepEqual(after(String(LEAST_RECEIPT_RETENTION_DAYS)), []);
    assert.deepEqual(after("28"), of(28, 29));
    const month = "2678400s";
    assert.deepEqual(
      after(undefined, (stacks) => (settle(stacks).message_retention_duration = month)),
      of(30, 46),
    );
    assert.deepEqual(
      after(undefined, (stacks) => {
        const { keep } = getResources(stacks, "google_pubsub_subscription");
        (keep as Properties).message_retention_duration = month;
      }),
      of(30, 46),
    );
    assert.deepEqual(
      after("31", (stacks) => {
        const { writes } = getResources(stacks, "google_pubsub_topic");
        (writes as Properties).message_retention_duration = month;
      }),
      of(31, 46),
    );
  });

  it("topics that do not retain what a restore of MySQL loses", () => {
    const topics = (stacks: Stacks) => getResources(stacks, "google_pubsub_topic");
    const after = (change: (stacks: Stacks) => void) =>
      faultsAfter(change).filter((fault) => fault.includes("MySQL can be restored"));
    const fault = (topic: string, found: number, restoreDays = 7) =>
      `iac/service, google_pubsub_topic.${topic}: message_retention_duration is ${found} days, but must` +
      ` be at least ${restoreDays + 7}: MySQL can be restored to ${restoreDays} days ago, when a message` +
      ` may have waited for 7 (${PLACE}).`;
    for (const id of ["writes", "dead-letters"]) {
      const change = (duration: string | undefined) => (stacks: Stacks) => {
        (topics(stacks)[id] as Properties).message_retention_duration = duration;
      };
      assert.deepEqual(after(change("1123200s")), [fault(id, 13)]);
      assert.deepEqual(after(change(undefined)), [fault(id, 0)]);
    }
    const longer = after(({ platform }) => {
      const databases = platform.resource?.google_sql_database_instance as Record<
        string,
        { settings: { backup_configuration: Properties } }
      >;
      const backups = databases.database?.settings.backup_configuration as Properties;
      backups.transaction_log_retention_days = 35;
    });
    assert.deepEqual(longer.sort(), [fault("dead-letters", 14, 35), fault("writes", 14, 35)]);
  });

  it("delivery attempts that end before the tolerated outage", () => {
    const after = (attempts: number | undefined, retry: unknown = undefined) =>
      faultsAfter((stacks) => {
        const subscription = settle(stacks);
        (subscription.dead_letter_policy as Properties).max_delivery_attempts = attempts;
        if (retry !== undefined) subscription.retry_policy = retry;
      });
    assert.deepEqual(after(100), []);
    assert.deepEqual(after(50), [
      `${PLACE}: 50 delivery attempts last 6.8 h, but an outage of 12 h must be tolerated` +
        " (iac/environments.ts).",
    ]);
    assert.match(String(after(undefined)), /: 5 delivery attempts last 0\.0 h,/);
    assert.match(String(after(100, null)), /: 100 delivery attempts last 0\.0 h,/);
    assert.match(String(after(100, { maximum_backoff: "60s" })), /last 1\.6 h,/);
  });

  it("a subscription that expires, by its policy or by default", () => {
    const after = (policy: unknown) =>
      faultsAfter((stacks) => (settle(stacks).expiration_policy = policy));
    const never = ' without traffic; it needs expiration_policy with ttl "", which means never.';
    assert.deepEqual(after({ ttl: "2678400s" }), [`${PLACE}: expires after 2678400s${never}`]);
    assert.deepEqual(after(undefined), [`${PLACE}: expires after 31 days, the default,${never}`]);
    assert.deepEqual(after([{ ttl: "" }]), []);
  });

  it("a push without audience, or without a token at all", () => {
    const after = (change: (push: Properties) => void) =>
      faultsAfter((stacks) => change(settle(stacks).push_config as Properties));
    const sentence = (lacking: string) =>
      new RegExp(`^${PLACE}: pushes to https:.+/push without ${lacking}; the subscriber`);
    assert.match(
      String(after((push) => delete (push.oidc_token as Properties).audience)),
      sentence("audience"),
    );
    assert.match(
      String(after((push) => ((push.oidc_token as Properties).audience = ""))),
      sentence("audience"),
    );
    assert.match(String(after((push) => delete push.oidc_token)), sentence("oidc_token"));
  });

  it("a dead-letter topic that has no subscription or does not exist", () => {
    assert.deepEqual(
      faultsAfter((stacks) => delete getResources(stacks, "google_pubsub_subscription").keep),
      [
        `${PLACE}: google_pubsub_topic.dead-letters has no subscription, so dead letters are discarded.`,
      ],
    );
    const policy = (stacks: Stacks) => settle(stacks).dead_letter_policy as Properties;
    const named = "projects/some-project/topics/";
    assert.deepEqual(
      faultsAfter((stacks) => (policy(stacks).dead_letter_topic = `${named}elsewhere`)),
      [`${PLACE}: its dead-letter topic ${named}elsewhere does not exist.`],
    );
    assert.deepEqual(
      faultsAfter(
        (stacks) => (policy(stacks).dead_letter_topic = `${named}constancia-dead-letters`),
      ),
      [],
    );
  });

  it("dead letters that the service agent may not forward", () => {
    const lacks = (role: string, on: string) => [
      `${PLACE}: Pub/Sub's service agent lacks roles/pubsub.${role} on google_pubsub_${on}.`,
    ];
    const publisher = lacks("publisher", "topic.dead-letters");
    const subscriber = lacks("subscriber", "subscription.settle");
    const grants = (stacks: Stacks) => getResources(stacks, "google_pubsub_topic_iam_member");
    const wrong = [
      { topic: "${google_pubsub_topic.writes.name}" },
      { member: "serviceAccount:constancia-api@some-project.iam.gserviceaccount.com" },
      { role: "roles/pubsub.subscriber" },
    ];
    for (const change of wrong)
      assert.deepEqual(
        faultsAfter((stacks) =>
          Object.assign(grants(stacks)["dead-letters-publisher"] as Properties, change),
        ),
        publisher,
      );
    assert.deepEqual(
      faultsAfter((stacks) => delete grants(stacks)["dead-letters-publisher"]),
      publisher,
    );
    assert.deepEqual(
      faultsAfter(
        (stacks) => delete stacks.service.resource?.google_pubsub_subscription_iam_member,
      ),
      subscriber,
    );
  });

  it("a public database address with authorised networks", () => {
    const address = ({ platform }: Stacks) => {
      const database = platform.resource?.google_sql_database_instance?.database as Properties;
      return (database.settings as Properties).ip_configuration as Properties;
    };
    const authorized_networks = [{ value: "0.0.0.0/0" }, { value: "10.0.0.0/8" }];
    assert.deepEqual(
      faultsAfter((stacks) => Object.assign(address(stacks), { authorized_networks })),
      [
        "iac/platform, google_sql_database_instance.database: has a public address and 2" +
          " authorised networks (0.0.0.0/0, 10.0.0.0/8); none is allowed.",
      ],
    );
    assert.deepEqual(
      faultsAfter((stacks) =>
        Object.assign(address(stacks), { authorized_networks, ipv4_enabled: false }),
      ),
      [],
    );
  });

  it("the same in a subscription that is added later", () => {
    const topic = "${google_pubsub_topic.writes.id}";
    const push_config = { push_endpoint: "https://example.com" };
    const faults = faultsAfter((stacks) => {
      getResources(stacks, "google_pubsub_subscription").added = {
        name: "added",
        topic,
        push_config,
      };
    });
    assert.equal(faults.length, 3);
    for (const fault of faults)
      assert.match(fault, /^iac\/service, google_pubsub_subscription\.added: /);
  });
});
