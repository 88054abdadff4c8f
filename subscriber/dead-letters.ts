import { parseArgs } from "node:util";
import { PubSub } from "@google-cloud/pubsub";
import { collections } from "../collections/collections.ts";
import { readVariables } from "../common/config.ts";
import { type Columns, openPool, type Pool, query } from "../common/database.ts";
import { selectRows, toDateTime } from "../common/tables.ts";
import { encodeWrite, parseWrite, type Write, WriteFault } from "../common/write.ts";
import { mintWriteId, timeOfWriteId } from "../common/write-id.ts";

const HELP = `Dead letters: the messages that could not be settled, with their reasons.

  npm run dead-letters -- list [--limit N]   newest first, and how many of each reason
  npm run dead-letters -- show ID            one of them whole
  npm run dead-letters -- replay ID…         writes them again
  npm run dead-letters -- replay --all       the same, for all not replayed yet
                          --dry-run          says what replay would do, and does nothing

ID is a write id or a message id. A replay is a new write with an id of its own and its own
receipt, on the condition that the item has not changed since: it never overwrites what is newer
than the dead write. Exit status: 0 done, 1 something could not be replayed, 2 wrong usage.
`;

/** A dead letter as the table has it. */
type Letter = {
  messageId: string;
  writeId: string | null;
  attributes: Record<string, string>;
  data: Buffer;
  reason: string;
  firstSeen: string;
  lastSeen: string;
  replayedAt: string | null;
  replayedAs: string | null;
};

const LIST_LETTERS = 50;
const DATA_CHARACTERS = 10_000;

if (import.meta.main)
  main(process.argv.slice(2)).then(
    (status) => process.exit(status),
    (error: Error) => {
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    },
  );

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(args);
  const [command, ...ids] = positionals;
  if (values.help || command === undefined) return print(HELP, values.help ? 0 : 2);
  const config = readVariables(process.env, [
    ...(["MYSQL_URL", "MYSQL_PASSWORD", "GOOGLE_CLOUD_PROJECT", "PUBSUB_TOPIC"] as const),
  ]);
  const pool = openPool({ mysqlUrl: config.MYSQL_URL, poolSize: 1 });
  try {
    if (command === "list" && ids.length === 0) return await list(pool, Number(values.limit));
    if (command === "show" && ids.length === 1) return await show(pool, ids[0] as string);
    if (command === "replay" && ids.length > 0 !== values.all) {
      const topic = { projectId: config.GOOGLE_CLOUD_PROJECT, topic: config.PUBSUB_TOPIC };
      return await replay(pool, ids, { ...topic, isDryRun: values["dry-run"] });
    }
    return print(HELP, 2);
  } finally {
    await pool.end();
  }
}

function parseCommand(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: "boolean", default: false, short: "h" },
        all: { type: "boolean", default: false },
        "dry-run": { type: "boolean", default: false },
        limit: { type: "string", default: String(LIST_LETTERS) },
      },
    });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

async function list(pool: Pool, limit: number): Promise<number> {
  if (!Number.isInteger(limit) || limit < 1) return print("--limit must be above 0.\n", 2);
  const letters = await select(pool, `ORDER BY first_seen DESC LIMIT ${limit}`, []);
  const counts = await query(
    pool,
    "SELECT reason, COUNT(*) AS count, SUM(replayed_at IS NULL) AS open" +
      " FROM dead_letters GROUP BY reason ORDER BY count DESC LIMIT 20",
  );
  if (letters.length === 0) return print("There are no dead letters.\n", 0);
  for (const letter of letters) {
    const { attributes, replayedAs } = letter;
    const of = [attributes["ce-type"], attributes["ce-source"], attributes["ce-subject"]];
    // What came from outside must not steer the terminal.
    const where = of
      .filter((part) => part !== undefined)
      .join(" ")
      .replace(/\p{Cc}/gu, "?");
    const replayed = letter.replayedAt ? `  [replayed as ${replayedAs}]` : "";
    print(`${letter.firstSeen}  ${letter.writeId ?? letter.messageId}  ${where}${replayed}\n`, 0);
    print(`    ${letter.reason}\n`, 0);
  }
  print("\nof each reason (not replayed yet):\n", 0);
  for (const { reason, count, open } of counts) print(`${count} (${open})  ${reason}\n`, 0);
  return 0;
}

async function show(pool: Pool, id: string): Promise<number> {
  const letter = await find(pool, id);
  if (!letter) return print(`There is no dead letter ${id}.\n`, 1);
  const text = letter.data.toString("utf8");
  const isText = Buffer.from(text).equals(letter.data);
  const data = isText ? text : `base64: ${letter.data.toString("base64")}`;
  const shown = { ...letter, data: data.slice(0, DATA_CHARACTERS) };
  return print(`${JSON.stringify(shown, null, 2)}\n`, 0);
}

async function replay(
  pool: Pool,
  ids: readonly string[],
  options: { projectId: string; topic: string; isDryRun: boolean },
): Promise<number> {
  const { projectId, isDryRun } = options;
  const pubsub = new PubSub({ projectId });
  const topic = pubsub.topic(options.topic, { batching: { maxMessages: 1 } });
  const open = ids.length === 0 ? "WHERE replayed_at IS NULL ORDER BY message_id" : undefined;
  const letters = open
    ? await select(pool, open, [])
    : await Promise.all(ids.map((id) => find(pool, id)));
  let failed = 0;
  for (const [place, letter] of letters.entries()) {
    if (!letter) {
      failed += print(`${ids[place]}: there is no such dead letter\n`, 1);
      continue;
    }
    const name = letter.writeId ?? letter.messageId;
    const plan = await planReplay(pool, letter);
    if ("obstacle" in plan) {
      failed += print(`${name}: not replayed: ${plan.obstacle}\n`, 1);
      continue;
    }
    const { write } = plan;
    const what = `${write.kind} ${write.collection.name}/${write.itemId}`;
    if (isDryRun) {
      print(`${name}: would be replayed: ${what}\n`, 0);
      continue;
    }
    // Marked after it is published: a crash in between repeats a write whose condition has gone.
    await topic.publishMessage(encodeWrite(write));
    await query(
      pool,
      "UPDATE dead_letters SET replayed_at = ?, replayed_as = ? WHERE message_id = ?",
      [toDateTime(Date.now()), write.id, letter.messageId],
    );
    print(`${name}: replayed as ${write.id}: ${what}\n`, 0);
  }
  if (letters.length === 0) print("There is nothing to replay.\n", 0);
  await pubsub.close();
  return failed > 0 ? 1 : 0;
}

/**
 * The write that repeats a dead one: same effect, new id, and the condition that nothing newer
 * than the dead write has been applied, up to the moment at which it is settled.
 */
async function planReplay(
  pool: Pool,
  letter: Letter,
): Promise<{ write: Write } | { obstacle: string }> {
  if (letter.replayedAt) return { obstacle: `it was replayed as ${letter.replayedAs}` };
  let dead: Write;
  try {
    dead = parseWrite(letter, collections);
  } catch (error) {
    if (error instanceof WriteFault) return { obstacle: error.message };
    throw error;
  }
  const [row] = await selectRows(pool, dead.collection, [dead.itemId]);
  const isThere = row !== undefined && row.deletedAt === null;
  if (row && row.version > dead.id)
    return { obstacle: `a newer write was applied: ${row.version}` };
  if (row && dead.kind === "create") return { obstacle: "the item exists" };
  if (dead.ifMatch && !(isThere && (dead.ifMatch === "*" || dead.ifMatch === row.version)))
    return { obstacle: `its condition, the version ${dead.ifMatch}, does not hold any more` };
  if (dead.ifNoneMatch && isThere) return { obstacle: "the item exists" };
  const id = mintWriteId(row && { version: row.version, seen: true });
  const write: Write = { ...dead, id, acceptedAt: timeOfWriteId(id) };
  if (dead.kind !== "create" && isThere) write.ifMatch = row.version;
  if (dead.kind === "put" && !isThere) write.ifNoneMatch = true;
  return { write };
}

async function find(pool: Pool, id: string): Promise<Letter | undefined> {
  return (await select(pool, "WHERE message_id = ? OR write_id = ?", [id, id]))[0];
}

async function select(pool: Pool, rest: string, values: readonly unknown[]): Promise<Letter[]> {
  const rows = await query(
    pool,
    "SELECT message_id, write_id, attributes, data, reason, first_seen, last_seen, replayed_at," +
      ` replayed_as FROM dead_letters ${rest}`,
    values,
  );
  return rows.map((columns: Columns) => ({
    messageId: columns.message_id as string,
    writeId: columns.write_id as string | null,
    attributes: JSON.parse(columns.attributes as string),
    data: columns.data as Buffer,
    reason: columns.reason as string,
    firstSeen: columns.first_seen as string,
    lastSeen: columns.last_seen as string,
    replayedAt: columns.replayed_at as string | null,
    replayedAs: columns.replayed_as as string | null,
  }));
}

/** Writes to standard output and returns the exit status given. */
function print(text: string, status: number): number {
  process.stdout.write(text);
  return status;
}
