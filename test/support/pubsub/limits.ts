import type { SubscriptionConfig } from "../../../local/pubsub/wire.ts";
import { type Bench, type Case, CODES, type Published, rejectsWith, text } from "./bench.ts";

const MESSAGE_BYTES = 10_000_000;
/** What a request has beside its message: names, lengths. */
const ENVELOPE_BYTES = 200;

const many = (count: number, key: (index: number) => string, value: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [key(index), value]));

function rejected(what: string, messages: () => Published[], gap?: string): Case {
  return {
    title: `a publish request with ${what} is rejected`,
    ...(gap ? { gap } : {}),
    async run(bench) {
      const topic = await bench.createTopic();
      await rejectsWith(CODES.invalidArgument, bench.publish(topic, ...messages()), what);
    },
  };
}

function rejectedSubscription(what: string, config: SubscriptionConfig, gap?: string): Case {
  return {
    title: `a subscription with ${what} is rejected`,
    ...(gap ? { gap } : {}),
    run: (bench) => rejectsWith(CODES.invalidArgument, bench.createPair(config), what),
  };
}

async function assertDeadLetterRejected(bench: Bench, maxDeliveryAttempts: number): Promise<void> {
  const deadLetterTopic = await bench.createTopic();
  const pair = bench.createPair({ deadLetterPolicy: { deadLetterTopic, maxDeliveryAttempts } });
  await rejectsWith(CODES.outOfRange, pair, String(maxDeliveryAttempts));
}

const NOT_CHECKED = "accepts it";

/** Production's limits, on both sides. */
export const limitCases: Case[] = [
  rejected("no messages", () => []),
  rejected("1,001 messages", () => Array(1_001).fill({ data: text("x") })),
  rejected("a message without data or attributes", () => [{ data: text("") }]),
  rejected("more than 10 MB", () => [{ data: Buffer.alloc(MESSAGE_BYTES + 1) }], NOT_CHECKED),
  rejected(
    "101 attributes",
    () => [{ attributes: many(101, (index) => `key${index}`, "v") }],
    NOT_CHECKED,
  ),
  rejected(
    "an attribute key of 257 bytes",
    () => [{ attributes: { [`${"é".repeat(128)}x`]: "v" } }],
    NOT_CHECKED,
  ),
  rejected(
    "an attribute value of 1,025 bytes",
    () => [{ attributes: { key: `${"é".repeat(512)}x` } }],
    NOT_CHECKED,
  ),
  rejected(
    "an attribute key that begins with goog",
    () => [{ attributes: { googkey: "v" } }],
    NOT_CHECKED,
  ),
  rejected("an empty attribute key", () => [{ attributes: { "": "v" } }], NOT_CHECKED),
  rejected(
    "an ordering key of 1,025 bytes",
    () => [{ data: text("x"), orderingKey: "k".repeat(1_025) }],
    NOT_CHECKED,
  ),
  {
    title: "a publish request at every limit is accepted",
    async run(bench) {
      const topic = await bench.createTopic();
      await bench.publish(topic, ...Array(1_000).fill("x"));
      await bench.publish(topic, {
        attributes: many(100, (index) => `${index}-`.padEnd(256, "k"), "v".repeat(1_024)),
        orderingKey: "k".repeat(1_024),
      });
    },
  },
  {
    title: "a message of nearly 10 MB is accepted and delivered",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publish(topic, { data: Buffer.alloc(MESSAGE_BYTES - ENVELOPE_BYTES, 7) });
      const [received] = await bench.pullAll(subscription, 1);
      if (received?.message?.data?.length !== MESSAGE_BYTES - ENVELOPE_BYTES)
        throw new Error("The message was delivered with another length.");
    },
  },
  rejectedSubscription("an ack deadline of 9 s", { ackDeadlineSeconds: 9 }, NOT_CHECKED),
  rejectedSubscription("an ack deadline of 601 s", { ackDeadlineSeconds: 601 }),
  rejectedSubscription("a retention under 10 minutes", {
    messageRetentionDuration: { seconds: 599 },
  }),
  rejectedSubscription("a retention over 31 days", {
    messageRetentionDuration: { seconds: 31 * 86_400 + 1 },
  }),
  rejectedSubscription("a backoff over 600 s", {
    retryPolicy: { maximumBackoff: { seconds: 601 } },
  }),
  rejectedSubscription("a minimum backoff above the maximum", {
    retryPolicy: { minimumBackoff: { seconds: 20 }, maximumBackoff: { seconds: 10 } },
  }),
  rejectedSubscription("an invalid filter", { filter: "attributes.a ~ 1" }, NOT_CHECKED),
  rejectedSubscription(
    "AND and OR without parentheses in its filter",
    { filter: "attributes:a AND attributes:b OR attributes:c" },
    NOT_CHECKED,
  ),
  rejectedSubscription(
    "a filter of 257 bytes",
    { filter: `attributes:${"a".repeat(246)}` },
    NOT_CHECKED,
  ),
  rejectedSubscription("a push endpoint that is not a URL", {
    pushConfig: { pushEndpoint: "nowhere" },
  }),
  {
    title: "a dead-letter policy has 5 to 100 delivery attempts and a topic that exists",
    async run(bench) {
      await assertDeadLetterRejected(bench, 4);
      await assertDeadLetterRejected(bench, 101);
      const deadLetterTopic = bench.name("topics");
      await rejectsWith(
        CODES.notFound,
        bench.createPair({ deadLetterPolicy: { deadLetterTopic } }),
      );
    },
  },
  {
    title: "a pull of no messages and an acknowledgement of no ack IDs are rejected",
    async run(bench) {
      const { subscription } = await bench.createPair();
      await rejectsWith(CODES.invalidArgument, bench.pull(subscription, 0), "no messages");
      await rejectsWith(CODES.invalidArgument, bench.modify(subscription, [], 10), "no ids");
      await rejectsWith(CODES.invalidArgument, bench.acknowledge(subscription, []), "no ids");
    },
  },
  {
    title: "an ack deadline outside 0 to 600 s is rejected",
    gap: NOT_CHECKED,
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publish(topic, "x");
      const received = await bench.pullAll(subscription, 1);
      await rejectsWith(CODES.invalidArgument, bench.modify(subscription, received, 601), "601");
      await rejectsWith(CODES.invalidArgument, bench.modify(subscription, received, -1), "-1");
    },
  },
  {
    title: "a malformed ack ID is rejected",
    async run(bench) {
      const { subscription } = await bench.createPair();
      const malformed = [{ ackId: "nonsense" }];
      await rejectsWith(CODES.invalidArgument, bench.acknowledge(subscription, malformed), "ack");
      await rejectsWith(CODES.invalidArgument, bench.modify(subscription, malformed, 0), "modack");
    },
  },
];
