import { parseArgs } from "node:util";
import { PubSub, type Topic } from "@google-cloud/pubsub";
import { collections } from "../collections/collections.ts";
import { loadVariables } from "../common/config.ts";
import { openPool, type Pool, query } from "../common/database.ts";
import { toDateTime } from "../common/tables.ts";
import { getTraceId } from "../common/telemetry/tracing.ts";
import { encodeWrite } from "../common/write.ts";
import { UsageError } from "./command-line.ts";
import { type Letter, planReplay, selectLetters } from "./replay.ts";
import { allowEarlyReaders, explainDatabaseError, print, printError } from "./terminal.ts";

const HELP = `Dead letters: the messages that could not be settled, with their reasons.

  npm run ops -- dead-letters list [--limit N]   newest first, and how many of each reason
  npm run ops -- dead-letters show ID            one of them whole
  npm run ops -- dead-letters replay ID…         writes them again
  npm run ops -- dead-letters replay --all       the same, for all not replayed yet
                          --dry-run          says what replay would do, and does nothing

ID is a write id or a message id. A replay is a new write with an id of its own and its own
receipt, on the condition that the item has not changed since: it never overwrites what is newer
than the dead write. Exit status: 0 done, 1 something could not be replayed, 2 wrong usage.
`;

const COMMANDS: Record<string, readonly string[]> = {
  list: ["limit"],
  show: [],
  replay: ["all", "dry-run"],
};
const LIST_LETTERS = { default: 50, max: 100_000 };
const LIST_REASONS = 20;

/** Somebody waits at a terminal, and may say it again. */
const PUBLISH_OPTIONS = { timeout: 10_000, retry: null };

/** Two replays of one item at once would meet in any order; the newest write is the one to keep. */
const ANOTHER_OF_ITEM = "another write of its item was replayed just now";

if (import.meta.main) {
  allowEarlyReaders();
  // Not process.exit: a pipe may still have to take what was printed.
  process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
    const isMisuse = error instanceof UsageError;
    printError(`${error.message}\n${isMisuse ? `\n${HELP}` : ""}`);
    return isMisuse ? 2 : 1;
  });
}

async function main(args: string[]): Promise<number> {
  const { values, command, ids } = parseCommand(args);
  if (values.help) return print(HELP);
  const limit = readLimit(values.limit);
  const config = await loadVariables([
    "MYSQL_URL",
    "MYSQL_PASSWORD",
    "GOOGLE_CLOUD_PROJECT",
    "PUBSUB_TOPIC",
  ]);
  const pool = openPool({ mysqlUrl: config.MYSQL_URL, poolSize: 1 });
  const pubsub = new PubSub({ projectId: config.GOOGLE_CLOUD_PROJECT });
  try {
    if (command === "list") return await list(pool, limit);
    if (command === "show") return await show(pool, ids[0] as string);
    if (values["dry-run"]) return await replay(pool, ids, undefined);
    const options = { batching: { maxMessages: 1 }, gaxOpts: PUBLISH_OPTIONS };
    return await replay(pool, ids, pubsub.topic(config.PUBSUB_TOPIC, options));
  } catch (error) {
    throw explainDatabaseError(error, config.MYSQL_URL);
  } finally {
    await Promise.all([pool.end(), pubsub.close()]);
  }
}

function parseCommand(args: string[]) {
  const { values, positionals } = parseOptions(args);
  const [command = "", ...ids] = positionals;
  if (values.help) return { values, command, ids };
  const options = COMMANDS[command];
  if (command === "") throw new UsageError(`Say what to do: ${Object.keys(COMMANDS).join(", ")}.`);
  if (!options) throw new UsageError(`There is no command ${JSON.stringify(command)}.`);
  const foreign = Object.keys(values).find((name) => !options.includes(name));
  if (foreign) throw new UsageError(`The command ${command} has no --${foreign}.`);
  if (command === "list" && ids.length > 0) throw new UsageError("The command list takes no ID.");
  if (command === "show" && ids.length !== 1)
    throw new UsageError("The command show takes one ID.");
  if (command === "replay" && ids.length > 0 === (values.all === true))
    throw new UsageError("The command replay takes IDs or --all, one of the two.");
  return { values, command, ids };
}

function parseOptions(args: string[]) {
  const [yesOrNo, text] = [{ type: "boolean" }, { type: "string" }] as const;
  const options = { help: { ...yesOrNo, short: "h" }, all: yesOrNo, "dry-run": yesOrNo } as const;
  try {
    return parseArgs({ args, allowPositionals: true, options: { ...options, limit: text } });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readLimit(text = String(LIST_LETTERS.default)): number {
  if (/^[1-9]\d{0,5}$/.test(text) && Number(text) <= LIST_LETTERS.max) return Number(text);
  throw new UsageError(`--limit must be a whole number from 1 to ${LIST_LETTERS.max}.`);
}

async function list(pool: Pool, limit: number): Promise<number> {
  const letters = await query(
    pool,
    "SELECT message_id, write_id, attributes, reason, first_seen, replayed_as FROM dead_letters" +
      ` ORDER BY first_seen DESC, message_id DESC LIMIT ${limit}`,
  );
  if (letters.length === 0) return print("There are no dead letters.\n");
  for (const { message_id, write_id, attributes, reason, first_seen, replayed_as } of letters) {
    const {
      "ce-type": type,
      "ce-source": source,
      "ce-subject": subject,
    } = JSON.parse(String(attributes));
    const what = [type, source, subject].filter((part) => part !== undefined).join(" ");
    const replayed = replayed_as === null ? "" : `  [replayed as ${replayed_as}]`;
    print(`${first_seen} UTC  ${write_id ?? message_id}  ${what}${replayed}\n    ${reason}\n`);
  }
  const [{ total } = { total: 0 }] = await query(
    pool,
    "SELECT COUNT(*) AS total FROM dead_letters",
  );
  if (Number(total) > letters.length) print(`\nthe newest ${letters.length} of ${total}\n`);
  const counts = await query(
    pool,
    "SELECT reason, COUNT(*) AS count, SUM(replayed_at IS NULL) AS open" +
      ` FROM dead_letters GROUP BY reason ORDER BY count DESC LIMIT ${LIST_REASONS}`,
  );
  print("\nof each reason (not replayed yet):\n");
  for (const { reason, count, open } of counts) print(`${count} (${open})  ${reason}\n`);
  return 0;
}

async function show(pool: Pool, id: string): Promise<number> {
  const letter = await find(pool, id);
  if (!letter) return printError(`There is no dead letter ${id}.\n`);
  const text = letter.data.toString("utf8");
  const isText = Buffer.from(text).equals(letter.data);
  const data = isText ? text : `base64: ${letter.data.toString("base64")}`;
  const trace = getTraceId(letter.attributes.traceparent) ?? null;
  return print(`${JSON.stringify({ ...letter, trace, data }, null, 2)}\n`);
}

/** Replays these letters, or all that are open; without a topic, only says what it would do. */
async function replay(
  pool: Pool,
  ids: readonly string[],
  topic: Topic | undefined,
): Promise<number> {
  let status = 0;
  const items = new Set<string>();
  for (const id of ids.length > 0 ? new Set(ids) : await findOpen(pool)) {
    const letter = await find(pool, id);
    if (!letter) {
      status = printError(`${id}: there is no such dead letter\n`);
      continue;
    }
    const name = letter.writeId ?? letter.messageId;
    const plan = await planReplay(pool, letter, collections);
    const item = "write" in plan ? `${plan.write.collection.name}/${plan.write.itemId}` : "";
    const isSecond = items.has(item);
    if ("obstacle" in plan || isSecond) {
      const obstacle = "obstacle" in plan ? plan.obstacle : ANOTHER_OF_ITEM;
      status = printError(`${name}: not replayed: ${obstacle}\n`);
      continue;
    }
    items.add(item);
    const { write } = plan;
    if (!topic) {
      print(`${name}: would be replayed: ${write.kind} ${item}\n`);
      continue;
    }
    // Marked after it is published: a crash in between repeats a write whose condition has gone.
    await topic.publishMessage(encodeWrite(write)).catch((error: Error) => {
      throw new Error(`${name}: Pub/Sub did not take it: ${error.message}`);
    });
    await query(
      pool,
      "UPDATE dead_letters SET replayed_at = ?, replayed_as = ? WHERE message_id = ?",
      [toDateTime(Date.now()), write.id, letter.messageId],
    );
    print(`${name}: replayed as ${write.id}: ${write.kind} ${item}\n`);
    print(`    its receipt: /api/${item}/writes/${write.id}\n`);
  }
  if (ids.length === 0 && items.size === 0 && status === 0) print("There is nothing to replay.\n");
  return status;
}

/** Message ids of the letters that were not replayed; those of the newest writes first. */
async function findOpen(pool: Pool): Promise<string[]> {
  const rows = await query(
    pool,
    "SELECT message_id FROM dead_letters WHERE replayed_at IS NULL ORDER BY write_id DESC",
  );
  return rows.map(({ message_id }) => String(message_id));
}

async function find(pool: Pool, id: string): Promise<Letter | undefined> {
  // The columns are ASCII, and MySQL compares them with nothing else.
  if (!/^[!-~]+$/.test(id)) return undefined;
  return (await selectLetters(pool, "WHERE message_id = ? OR write_id = ?", [id, id]))[0];
}
