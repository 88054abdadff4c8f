import type { Topic } from "@google-cloud/pubsub";
import { collections } from "../collections/collections.ts";
import { loadVariables } from "../common/config.ts";
import { closePool, openPool, type Pool, query } from "../common/database.ts";
import { toDateTime } from "../common/date-times.ts";
import { parseJson } from "../common/json.ts";
import { createPubsub } from "../common/pubsub.ts";
import { getTraceId } from "../common/telemetry/tracing.ts";
import { encodeWrite } from "../common/write.ts";
import { parseOptions, readInteger, UsageError } from "./command-line.ts";
import { explainDatabaseError } from "./database-error.ts";
import { type Letter, planReplay, selectLetters } from "./replay.ts";
import { type Program, runMain, type Terminal } from "./terminal.ts";

const HELP = `Lists, shows and replays dead letters: the messages that could not be settled.

Usage:
  npm run ops -- dead-letters list [--limit N]   newest first, then the count of each reason
  npm run ops -- dead-letters show ID            one of them, with its reason and its data
  npm run ops -- dead-letters replay ID...       publishes them again as new writes
  npm run ops -- dead-letters replay --all       the same for all that were not replayed yet

Options:
  --limit N     list at most N of them (default: 50)
  --all         replay all that were not replayed yet
  --dry-run     print what replay would do, and do nothing
  -h, --help    print this help

ID is a write id or a message id. A replay is a new write with its own id and receipt, which has the
dead write's place in the order of all writes: it never overwrites what is newer than the dead write,
and what is replayed twice is one write. A write older than RECEIPT_RETENTION_DAYS, less a day, is not
replayed: a newer delete may be forgotten.

Exit status: 0 done, 1 something could not be replayed, 2 wrong usage.
`;

/** The options of each command. */
const COMMANDS: Record<string, readonly string[]> = {
  list: ["limit"],
  show: [],
  replay: ["all", "dry-run"],
};
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100_000;
const MAX_REASONS = 20;

/** No retries: the person at the terminal can run the command again. */
const PUBLISH_OPTIONS = { timeout: 10_000, retry: null };

/** Of the dead writes of one item, only the newest would have an effect. */
const ANOTHER_OF_ITEM = "another write of its item was replayed just now";

/** `npm run ops -- dead-letters`. */
export const DEAD_LETTERS: Program = { main, help: HELP };

if (import.meta.main) await runMain(DEAD_LETTERS);

async function main(args: string[], terminal: Terminal): Promise<number> {
  const { command, ids, limit, isDryRun } = parseCommand(args);
  const config = await loadVariables([
    "MYSQL_URL",
    "MYSQL_PASSWORD",
    "GOOGLE_CLOUD_PROJECT",
    "PUBSUB_TOPIC",
    "PUBSUB_EMULATOR_HOST",
    "RECEIPT_RETENTION_DAYS",
  ]);
  const retentionDays = config.RECEIPT_RETENTION_DAYS;
  const pool = openPool({ mysqlUrl: config.MYSQL_URL, poolSize: 1 });
  const pubsub = await createPubsub({
    projectId: config.GOOGLE_CLOUD_PROJECT,
    emulatorHost: config.PUBSUB_EMULATOR_HOST,
  });
  try {
    if (command === "list") return await list(terminal, pool, limit);
    if (command === "show") return await show(terminal, pool, ids[0] as string);
    if (isDryRun) return await replay(terminal, pool, ids, { retentionDays });
    const options = { batching: { maxMessages: 1 }, gaxOpts: PUBLISH_OPTIONS };
    const topic = pubsub.topic(config.PUBSUB_TOPIC, options);
    return await replay(terminal, pool, ids, { retentionDays, topic });
  } catch (error) {
    throw explainDatabaseError(error, config.MYSQL_URL);
  } finally {
    await Promise.all([closePool(pool), pubsub.close()]);
  }
}

function parseCommand(args: string[]) {
  const { values, positionals } = parseOptions({
    args,
    allowPositionals: true,
    options: {
      limit: { type: "string" },
      all: { type: "boolean" },
      "dry-run": { type: "boolean" },
    },
  });
  const [command = "", ...ids] = positionals;
  if (command === "") throw new UsageError(`Give a command: ${Object.keys(COMMANDS).join(", ")}.`);
  // A plain look-up would find toString and its like.
  const options = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  if (!options) throw new UsageError(`There is no command ${JSON.stringify(command)}.`);
  const unknown = Object.keys(values).find((name) => !options.includes(name));
  if (unknown) throw new UsageError(`The command ${command} has no --${unknown}.`);
  if (command === "list" && ids.length > 0) throw new UsageError("The command list takes no ID.");
  if (command === "show" && ids.length !== 1)
    throw new UsageError("The command show takes one ID.");
  if (command === "replay" && ids.length > 0 === (values.all === true))
    throw new UsageError("The command replay takes either IDs or --all.");
  const limit = readInteger("limit", values.limit ?? String(DEFAULT_LIMIT), { max: MAX_LIMIT });
  return { command, ids, limit, isDryRun: values["dry-run"] === true };
}

async function list(terminal: Terminal, pool: Pool, limit: number): Promise<number> {
  const letters = await query(
    pool,
    "SELECT message_id, write_id, attributes, reason, first_seen, replayed_as FROM dead_letters" +
      ` ORDER BY first_seen DESC, message_id DESC LIMIT ${limit}`,
  );
  if (letters.length === 0) {
    terminal.print("There are no dead letters.\n");
    return 0;
  }
  for (const { message_id, write_id, attributes, reason, first_seen, replayed_as } of letters) {
    const {
      "ce-type": type,
      "ce-source": source,
      "ce-subject": subject,
    } = parseJson(String(attributes)) as Record<string, string>;
    const event = [type, source, subject].filter((part) => part !== undefined).join(" ");
    const replayed = replayed_as === null ? "" : `  [replayed as ${replayed_as}]`;
    terminal.print(
      `${first_seen} UTC  ${write_id ?? message_id}  ${event}${replayed}\n    ${reason}\n`,
    );
  }
  const [{ total } = { total: 0 }] = await query(
    pool,
    "SELECT COUNT(*) AS total FROM dead_letters",
  );
  if (Number(total) > letters.length)
    terminal.print(`\nthe newest ${letters.length} of ${total}\n`);
  const counts = await query(
    pool,
    "SELECT reason, COUNT(*) AS count, SUM(replayed_at IS NULL) AS open" +
      ` FROM dead_letters GROUP BY reason ORDER BY count DESC LIMIT ${MAX_REASONS}`,
  );
  terminal.print("\nby reason (not replayed yet):\n");
  for (const { reason, count, open } of counts) terminal.print(`${count} (${open})  ${reason}\n`);
  return 0;
}

async function show(terminal: Terminal, pool: Pool, id: string): Promise<number> {
  const letter = await findLetter(pool, id);
  if (!letter) {
    terminal.printError(`There is no dead letter ${id}.\n`);
    return 1;
  }
  const text = letter.data.toString("utf8");
  const isText = Buffer.from(text).equals(letter.data);
  const data = isText ? text : `base64: ${letter.data.toString("base64")}`;
  const trace = getTraceId(letter.attributes.traceparent) ?? null;
  terminal.print(`${JSON.stringify({ ...letter, trace, data }, null, 2)}\n`);
  return 0;
}

/** Replays these letters, or all that are open; without a topic, prints what it would do. */
async function replay(
  terminal: Terminal,
  pool: Pool,
  ids: readonly string[],
  { retentionDays, topic }: { retentionDays: number; topic?: Topic },
): Promise<number> {
  let replayed = 0;
  let failed = 0;
  const fail = (sentence: string) => {
    failed += 1;
    terminal.printError(`${sentence}\n`);
  };
  const items = new Set<string>();
  for (const id of ids.length > 0 ? new Set(ids) : await listOpen(pool)) {
    const letter = await findLetter(pool, id);
    if (!letter) {
      fail(`${id}: there is no such dead letter`);
      continue;
    }
    const name = letter.writeId ?? letter.messageId;
    const plan = await planReplay(pool, letter, collections, retentionDays);
    const item = "write" in plan ? `${plan.write.collection.name}/${plan.write.itemId}` : "";
    if ("obstacle" in plan || items.has(item)) {
      const obstacle = "obstacle" in plan ? plan.obstacle : ANOTHER_OF_ITEM;
      fail(`${name}: not replayed: ${obstacle}`);
      continue;
    }
    items.add(item);
    const { write } = plan;
    if (!topic) {
      terminal.print(`${name}: would be replayed: ${write.kind} ${item}\n`);
      continue;
    }
    // Marked after it is published: if this process ends in between, the next replay has the same id.
    try {
      await topic.publishMessage(encodeWrite(write));
    } catch (error) {
      fail(`${name}: publishing failed: ${(error as Error).message}`);
      continue;
    }
    await query(
      pool,
      "UPDATE dead_letters SET replayed_at = ?, replayed_as = ? WHERE message_id = ?",
      [toDateTime(Date.now()), write.id, letter.messageId],
    );
    terminal.print(`${name}: replayed as ${write.id}: ${write.kind} ${item}\n`);
    terminal.print(`    its receipt: /api/${item}/writes/${write.id}\n`);
    replayed += 1;
  }
  const isAll = ids.length === 0;
  if (isAll && items.size + failed === 0) terminal.print("There is nothing to replay.\n");
  else if (isAll && topic) terminal.print(`${replayed} replayed, ${failed} failed\n`);
  return failed > 0 ? 1 : 0;
}

/** Message ids of the letters that were not replayed, the newest writes first. */
async function listOpen(pool: Pool): Promise<string[]> {
  const rows = await query(
    pool,
    "SELECT message_id FROM dead_letters WHERE replayed_at IS NULL ORDER BY write_id DESC",
  );
  return rows.map(({ message_id }) => String(message_id));
}

async function findLetter(pool: Pool, id: string): Promise<Letter | undefined> {
  // The columns are ASCII, and MySQL refuses to compare them with anything else.
  if (!/^[!-~]+$/.test(id)) return undefined;
  return (await selectLetters(pool, "WHERE message_id = ? OR write_id = ?", [id, id]))[0];
}
