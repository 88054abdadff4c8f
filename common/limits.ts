/**
 * The limits that several files share, that are compared with each other below, or that the docs
 * name, with their reasons. Others are in their files.
 */

export const DAY_MS = 24 * 60 * 60 * 1_000;

/** How far back MySQL can be restored: for so long, Cloud SQL keeps its binary logs (iac/). */
export const RESTORE_DAYS = 7;
/**
 * By so much the positions of a feed rise after a restore: more than were ever given in the time that
 * was lost, and so little that it takes thousands of restores to leave JSON's exact integers.
 */
export const FEED_RESTORE_GAP = 1e12;
/** A subscription's own retention, the longest that an accepted write may stay unsettled (iac/). */
export const UNSETTLED_DAYS = 7;
/**
 * How long Pub/Sub keeps a message at most: on the topic of the writes, and then on the dead-letter
 * topic; iac/ sets both. After a restore of MySQL everything that was settled since is delivered again,
 * also what was accepted long before it was settled.
 */
export const MESSAGE_RETENTION_DAYS = {
  writes: RESTORE_DAYS + UNSETTLED_DAYS,
  deadLetters: RESTORE_DAYS + UNSETTLED_DAYS,
};
/** What Pub/Sub's clock and those of the processes may differ by, and a margin. */
export const RETENTION_MARGIN_DAYS = 1;
/**
 * Tombstones and receipts must outlive every message: otherwise an older put would bring a deleted
 * item back, and a replaced write would be settled a second time.
 */
export const LEAST_RECEIPT_RETENTION_DAYS =
  MESSAGE_RETENTION_DAYS.writes + MESSAGE_RETENTION_DAYS.deadLetters + RETENTION_MARGIN_DAYS;

/** A request's body, also after decompression: what a bulk of ordinary records needs. */
export const BODY_BYTES = 4 * 1024 * 1024;
/** Records in one bulk request. */
export const BULK_RECORDS = 10_000;
/**
 * What all writes under way at the API hold together, bodies and records, until they are answered; a
 * request that needs more is answered 503. `READS_BYTES` is the same for the answers of reads that
 * their clients have not read yet (docs/architecture.md, "Memory").
 */
export const WRITES_BYTES = 48 * 1024 * 1024;
export const READS_BYTES = 16 * 1024 * 1024;
/** What a record of a bulk request holds until it is answered: its write, its message, its result. */
export const RECORD_BYTES = 1_500;
/** Errors that one problem lists, and that all results of a bulk answer list together. */
export const LISTED_ERRORS = { problem: 20, bulk: 1_000 };
/** A listed error's pointer and sentence are cut to this many characters each. */
export const ERROR_CHARACTERS = 200;
/** An item's JSON: far below Pub/Sub's 10 MB a message, and a batch of them fits MySQL's packet. */
export const ITEM_BYTES = 256 * 1024;
/** The nesting of objects and arrays in an item; recursive functions are never given a deeper one. */
export const ITEM_DEPTH = 32;
/** A key of an object, in UTF-8: MySQL's JSON takes no longer one. */
export const JSON_KEY_BYTES = 65_535;

export const TOKENS = {
  /** Half of what all headers of a request may have. */
  bytes: 8 * 1024,
  /**
   * Remembered once verified, which costs more than the rest of a request; the oldest are dropped. One
   * takes some 700 bytes, and never more than a token.
   */
  known: 2_000,
  /** Times RATE_LIMIT_PER_MINUTE: wrong tokens of an address before no others are verified. */
  wrongPerLimit: 2,
  /** Addresses whose wrong tokens are counted in a window; with more, the counts begin anew. */
  countedAddresses: 100_000,
  /** By how much an issuer's clock and ours may differ. */
  clockToleranceSeconds: 60,
  /** Of a principal: an issuer's name, a colon and the token's `sub`; the column of owners is as long. */
  principalCharacters: 255,
};
export const RATE_WINDOW_MS = 60_000;
/** The keys by which an issuer's tokens are verified; see `createFindKey`. */
export const SIGNING_KEYS = {
  freshMs: 10 * 60_000,
  staleMs: DAY_MS,
  deadlineMs: 3_000,
  coolDownMs: 10_000,
  retryMs: 1_000,
  /** Of the configuration, and of the keys. */
  bytes: 64 * 1024,
};

/**
 * How old API keys of a secret may be before they are read again, and the pause between two reads,
 * however many unknown keys are shown.
 */
export const API_KEYS_READ = { freshMs: 60_000, pauseMs: 10_000 };

/**
 * Requests a minute of one caller or address to one process, where `RATE_LIMIT_PER_MINUTE` is not set:
 * more than a person's pages or a rollout's requests need.
 */
export const RATE_LIMIT_PER_MINUTE = 1_200;

/** Pub/Sub takes 1,000 messages and 10 MB a publish request; less than both leaves room. */
export const PUBLISH = {
  maxItems: 500,
  /** Some 800 bytes a message at full speed. Larger requests gain nothing, and each is copied twice. */
  maxBytes: 2 * 1024 * 1024,
  maxConcurrent: 4,
  /** A publish request costs as much as ten writes in it, here and at Pub/Sub. */
  minBatchWhileBusy: 16,
  /** Writes waiting to be published; about a second's worth at full speed. */
  maxQueued: 20_000,
  /** Of all writes that wait or are under way: `maxQueued` of small items. */
  maxHeldBytes: 32 * 1024 * 1024,
};
/** A client is answered within this time, with 503 where Pub/Sub has not answered. */
export const PUBLISH_DEADLINE_MS = 4_000;

/** Rows in one statement: larger ones gain nothing (docs/decisions, group commit). */
export const SETTLE = {
  maxItems: 500,
  /**
   * Escaped text at most doubles; MariaDB takes 16 MiB a packet by default. A batch needs some ten
   * times as much memory while its statement is built.
   */
  maxBytes: 2 * 1024 * 1024,
  maxConcurrent: 3,
  minBatchWhileBusy: 50,
  /** Far above PULL_MESSAGES, which one response of a pull may exceed by all its messages. */
  maxQueued: 20_000,
  /** Above PULL_BYTES for the same reason; for pushes, this is the only bound. */
  maxHeldBytes: 64 * 1024 * 1024,
};
/** A connection that is not made in this time counts as lost; the caller backs off. */
export const CONNECT_TIMEOUT_MS = 3_000;
/** While MySQL refuses the log-in, this is logged so often: readiness alone tries every second. */
export const REFUSED_LOGIN_INTERVAL_MS = 60_000;
/** Requests waiting for a connection, and reads of one collection; each is given up at its deadline. */
export const POOL_QUEUE = 200;
/** A statement still running after this time counts as lost, and its connection is closed. */
export const STATEMENT_TIMEOUT_MS = 10_000;
/** How long a transaction waits for another's rows or table; well inside the acknowledgement deadline. */
export const LOCK_WAIT_SECONDS = 5;
/** The server ends a session that is idle for so long; the pool then opens another. */
export const IDLE_SECONDS = 600;
/** The same where a session may hold the counter of a feed, which all writes of the collection wait for. */
export const FEED_IDLE_SECONDS = 30;
/**
 * How long a batch is tried again while MySQL is away. A pulled message is leased for up to an
 * hour; a pushed one waits on an open request.
 */
export const HOLD_MS = { pull: 30 * 60_000, push: 5_000 };
/**
 * A message that has no outcome by then is given back, wherever it waits. For a push this is below the
 * subscription's acknowledgement deadline, so that Pub/Sub sees the answer.
 */
export const SETTLE_DEADLINE_MS = { pull: HOLD_MS.pull, push: 45_000 };
/** Messages under way before a pull pauses: those in batches, and as many for the next batches. */
export const PULL_MESSAGES = 2 * SETTLE.maxItems * SETTLE.maxConcurrent;
/** Bytes of the messages under way before a pull pauses; one response of Pub/Sub's may exceed it. */
export const PULL_BYTES = 16 * 1024 * 1024;
/** Bodies of pushes under way: 200 of the largest item (subscriber.yaml). Further ones get 503. */
export const PUSHES_BYTES = 96 * 1024 * 1024;
/**
 * The lease of a pulled message, renewed while it is under way: after a crash, Pub/Sub redelivers
 * within this time.
 */
export const LEASE_SECONDS = 15;

/** Concurrent reads by id become one statement of at most this many keys. */
export const READ = {
  maxItems: 500,
  maxBytes: 1024 * 1024,
  maxConcurrent: 2,
  minBatchWhileBusy: 16,
  maxQueued: 20_000,
};

/**
 * The share of the pool that reads of one collection use at most, rounded up: where its table is
 * locked or silent, each of them holds a connection until its deadline.
 */
export const READ_POOL_SHARE = 0.5;
/** A read is answered within this time, with 503 where MySQL has not answered. */
export const READ_DEADLINE_MS = 4_000;
/** An early check of a write may take this long; settlement decides in any case. */
export const EARLY_CHECK_DEADLINE_MS = 500;
/** The rows that one statement of a read by id may bring; what is left is read by further ones. */
export const READ_BYTES = 1024 * 1024;

/** Items in one page of a list. */
export const PAGE_ITEMS = { default: 50, max: 1_000 };
/** A page ends before the item that would take it past this. */
export const PAGE_BYTES = 4 * 1024 * 1024;
/** A client that has not read its answer by then is disconnected. */
export const ANSWER_DEADLINE_MS = 30_000;
/** The longest `Prefer: wait`, in seconds. */
export const WAIT_SECONDS = 30;
/** Writes whose receipts are waited for at once; each wait reads again and again. */
export const MAX_RECEIPT_WAITS = 10_000;
/** App Engine kills 2 s after SIGTERM; the rest is for the process's own end. */
export const STOP_DEADLINE_MS = 1_700;
/** By how much two machines' clocks may differ; a version further ahead was never minted. */
export const CLOCK_SKEW_MS = 60_000;
/**
 * How long a write waits for another one that it needs, such as the version in If-Match, from the
 * first transaction that found it so. What is still not settled then was never accepted.
 */
export const CONDITION_WAIT_MS = 60_000;

/**
 * A message that waits for another write is held in the process for so long before it is given back:
 * most of what it waits for is a moment behind it, and each that is given back slows a push
 * subscription as a whole. All that are held are a quarter of the pushes that an instance takes at
 * once (subscriber.yaml) at most, so that the others are not kept waiting.
 */
export const WAITING_HOLD = {
  ms: 2_000,
  /** What another subscriber has settled is seen after this time at most. */
  lookMs: 1_000,
  maxMessages: 50,
  maxBytes: 4 * 1024 * 1024,
};

/**
 * Writes of one caller that may wait for another at once: more than a program has that waits for its
 * receipts, and so few that Pub/Sub's pauses for what is given back leave others as they are.
 */
export const FOLLOWING_WRITES = { perCaller: 20, callers: 10_000, coolDownMs: 250 };

/**
 * The most memory that either process may need, whatever it is sent: proof/memory/memory.test.ts
 * holds both to it, with the flags of app.yaml and subscriber.yaml (docs/architecture.md, "Memory"). An
 * App Engine instance that exceeds its class's memory is killed without a line in the log, so iac/
 * refuses a smaller class.
 */
export const WORST_MEMORY_MB = 700;
/** How far ahead a collection may let an expiry be set. */
export const EXPIRY_MS = { least: 1_000, most: 366 * DAY_MS };
/**
 * Another than its owner may take an expired item only after this: Pub/Sub's servers, whose clocks
 * stamp the publish times, may differ a little.
 */
export const EXPIRY_GRACE_MS = 1_000;
/**
 * An expired row is swept only after this, so that a sweep hardly ever meets a renewal that is still
 * in flight.
 */
export const SWEEP_AFTER_SECONDS = 60;

/** Throws where limits contradict each other; called by both processes at start. */
export function assertLimits(): void {
  const rules: [boolean, string][] = [
    [ITEM_BYTES < PUBLISH.maxBytes, "ITEM_BYTES must be below PUBLISH.maxBytes"],
    [ITEM_BYTES <= BODY_BYTES, "ITEM_BYTES must not exceed BODY_BYTES"],
    [ITEM_BYTES < PAGE_BYTES && ITEM_BYTES < READ_BYTES, "An item must fit a page and a read"],
    [
      2 * BODY_BYTES + BULK_RECORDS * RECORD_BYTES <= WRITES_BYTES,
      "The largest bulk request must fit WRITES_BYTES",
    ],
    [PULL_BYTES < SETTLE.maxHeldBytes, "PULL_BYTES must be below SETTLE.maxHeldBytes"],
    [BULK_RECORDS <= PUBLISH.maxQueued, "BULK_RECORDS must not exceed PUBLISH.maxQueued"],
    [MAX_RECEIPT_WAITS <= READ.maxQueued, "MAX_RECEIPT_WAITS must not exceed READ.maxQueued"],
    [PULL_MESSAGES <= SETTLE.maxQueued, "PULL_MESSAGES must not exceed SETTLE.maxQueued"],
    [PUBLISH.maxItems <= 1_000, "PUBLISH.maxItems must not exceed Pub/Sub's 1,000"],
    [
      10 * WAITING_HOLD.maxMessages <= PULL_MESSAGES && 4 * WAITING_HOLD.maxBytes <= PULL_BYTES,
      "WAITING_HOLD must be a small part of PULL_MESSAGES and PULL_BYTES",
    ],
    [STOP_DEADLINE_MS < 2_000, "STOP_DEADLINE_MS must be below App Engine's 2 s"],
  ];
  const broken = rules.filter(([holds]) => !holds).map(([, rule]) => rule);
  if (broken.length > 0) throw new Error(`The limits contradict each other: ${broken.join("; ")}.`);
}
