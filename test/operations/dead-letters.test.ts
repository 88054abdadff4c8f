import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text as readText } from "node:stream/consumers";
import { before, describe, it } from "node:test";
import { v7 } from "uuid";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { encodeWrite, type MessageContent, type Write } from "../../common/write.ts";
import { getWriteTime, isWriteId, mintWriteId } from "../../common/write-id.ts";
import { DEAD_LETTERS } from "../../ops/dead-letters.ts";
import { startApi } from "../support/api.ts";
import { runInProcess } from "../support/commands.ts";
import { assertProblem, publishByHand } from "../support/http.ts";
import { until } from "../support/until.ts";

const COMMAND = new URL("../../ops/dead-letters.ts", import.meta.url).pathname;
const WAIT = { prefer: "wait=30" };
/** What the table refuses here, though the collection allows it. */
const REFUSED = "refused by the table";

const assertNoStack = (output: string) =>
  assert.doesNotMatch(output, /\n +at |node_modules/, "a stack");

describe("npm run ops -- dead-letters", () => {
  const { environment, api } = startApi({ subscriber: true });

  before(() => refuse());

  const refuse = () =>
    query(
      environment.pool,
      `ALTER TABLE data ADD CONSTRAINT not_refused CHECK (nombre <> '${REFUSED}')`,
    );
  /** The table takes everything meanwhile, as after a migration that mended it. */
  async function whileAllowed(work: () => Promise<void>): Promise<void> {
    await query(environment.pool, "ALTER TABLE data DROP CONSTRAINT not_refused");
    try {
      await work();
    } finally {
      await query(environment.pool, "UPDATE data SET nombre = 'allowed' WHERE nombre = ?", [
        REFUSED,
      ]);
      await refuse();
    }
  }

  /** Runs the command on the environment, or on what `env` puts in its place. */
  async function run(args: string[], env: Record<string, string> = {}) {
    const answer = await runInProcess(DEAD_LETTERS, args, { env: { ...environment.env, ...env } });
    assertNoStack(answer.out + answer.err);
    return answer;
  }

  /** Runs it as a process of its own. */
  async function spawnCommand(args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [COMMAND, ...args], {
      env: { PATH: process.env.PATH, ...environment.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    const [out, err] = await Promise.all([readText(child.stdout), readText(child.stderr)]);
    assertNoStack(out + err);
    return { status: await ended, out, err };
  }

  /** Runs it where it must succeed; what it printed. */
  async function read(...args: string[]): Promise<string> {
    const { status, out, err } = await run(args);
    assert.equal(err, "");
    assert.equal(status, 0);
    return out;
  }

  /** Publishes messages that will be dead; returns their message ids once they are. */
  async function kill(...messages: MessageContent[]): Promise<string[]> {
    const ids = await publishByHand(environment, messages);
    const count = "SELECT message_id FROM dead_letters WHERE message_id IN (?)";
    await until("they are dead", async () => {
      return (await query(environment.pool, count, [ids])).length === ids.length;
    });
    return ids;
  }

  function makeWrite(itemId: string, more: Partial<Write> = {}): Write {
    const id = mintWriteId();
    const item = { nombre: REFUSED };
    return {
      id,
      kind: "put",
      collection: data,
      itemId,
      item,
      acceptedAt: getWriteTime(id),
      ...more,
    };
  }

  /** A put that the table refused. */
  async function killPut(itemId: string, more: Partial<Write> = {}): Promise<string> {
    const write = makeWrite(itemId, more);
    await kill(encodeWrite(write));
    return write.id;
  }

  const readLetter = async (id: string) => JSON.parse(await read("show", id));
  const receiptIn = (out: string) => /its receipt: (\S+)/.exec(out)?.[1] as string;
  const readTables = async () => [
    await query(environment.pool, "SELECT * FROM dead_letters ORDER BY message_id"),
    await query(environment.pool, "SELECT * FROM data ORDER BY id"),
  ];

  it("says of an empty table that there are none, and that nothing is to be replayed", async () => {
    assert.equal(await read("list"), "There are no dead letters.\n");
    assert.equal(await read("replay", "--all"), "There is nothing to replay.\n");
  });

  it("lists the newest first with time, id, write and reason, then counts the reasons", async () => {
    const [first = ""] = await kill({ attributes: { hello: "world" }, data: Buffer.from("hi") });
    const second = await killPut("listed");
    const out = await read("list");
    const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC`;
    const lines = [
      `${time}  ${second}  dev\\.constancia\\.put /api/data listed`,
      "    MySQL refused the item: .*not_refused.*",
      `${time}  ${first}  `,
      "    The message is not a CloudEvent of version 1\\.0: .*",
      "",
      "by reason \\(not replayed yet\\):",
      "1 \\(1\\)  .*",
      "1 \\(1\\)  .*",
      "",
    ];
    assert.match(out, new RegExp(`^${lines.join("\n")}$`));
    const one = await read("list", "--limit", "1");
    assert.ok(one.includes(second) && !one.includes(`  ${first}  `));
    assert.match(one, /^the newest 1 of 2$/m);
  });

  it("lets no message steer the terminal", async () => {
    const sound = encodeWrite(makeWrite("x"));
    const hostile = "\u001b[2J\u009b31m\r\u202e";
    const [id = ""] = await kill({
      data: Buffer.from(hostile),
      attributes: {
        ...sound.attributes,
        "ce-type": hostile,
        "ce-source": hostile,
        "ce-id": mintWriteId(),
      },
    });
    for (const out of [await read("list"), await read("show", id)])
      assert.doesNotMatch(out, /[[\p{Cc}\u202e]--\n]/v);
    assert.equal((await readLetter(id)).attributes["ce-source"], hostile);
  });

  it("shows one whole, by its message id or its write id", async () => {
    const large = `{"nombre":"${"ñ".repeat(100_000)}"}`;
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const attributes: Record<string, string> = {
      ...encodeWrite(makeWrite("shown")).attributes,
      traceparent: `00-${trace}-00f067aa0ba902b7-01`,
    };
    const writeId = attributes["ce-id"] as string;
    const [messageId = ""] = await kill({ attributes, data: Buffer.from(large) });
    const { publishedAt, ...shown } = await readLetter(writeId);
    const { firstSeen, lastSeen, reason, ...letter } = shown;
    assert.deepEqual(letter, {
      messageId,
      writeId,
      attributes,
      data: large,
      trace,
      replayedAt: null,
      replayedAs: null,
    });
    assert.match(reason, /nombre must have/);
    assert.equal(new Date(firstSeen).toISOString(), firstSeen);
    assert.equal(lastSeen, firstSeen);
    assert.ok(new Date(publishedAt) <= new Date(firstSeen), publishedAt);
    assert.deepEqual(await readLetter(messageId), { ...shown, publishedAt });
    const [binary = ""] = await kill({ attributes: {}, data: Buffer.from([0xff, 0x00]) });
    assert.equal((await readLetter(binary)).data, "base64: /wA=");
  });

  it("says of an unknown id that there is no such letter, and ends with 1", async () => {
    for (const id of ["nothing", mintWriteId(), "ñ😀", "'"]) {
      const shown = await run(["show", id]);
      assert.deepEqual(shown, { status: 1, out: "", err: `There is no dead letter ${id}.\n` });
      const replayed = await run(["replay", id]);
      assert.equal(replayed.status, 1);
      assert.equal(replayed.err, `${id}: there is no such dead letter\n`);
    }
  });

  it("replays nothing by --dry-run, and says what it would do", async () => {
    const dead = await killPut("dry");
    const before = await readTables();
    const { status, out, err } = await run(["replay", dead, "unknown", "--dry-run"]);
    assert.equal(out, `${dead}: would be replayed: put data/dry\n`);
    assert.equal(err, "unknown: there is no such dead letter\n");
    assert.equal(status, 1);
    assert.match((await run(["replay", "--all", "--dry-run"])).out, new RegExp(`^${dead}: `, "m"));
    // Had it published anything, that would be settled by now as well.
    await api.put("/api/data/after-dry", { nombre: "x" }, WAIT);
    const rows = (await readTables())[1]?.filter(({ id }) => id !== "after-dry");
    assert.deepEqual([(await readTables())[0], rows], before);
  });

  it("replays a letter as a new write, once", async () => {
    const dead = await killPut("again");
    let out = "";
    await whileAllowed(async () => {
      // Named twice, it is replayed once.
      out = await read("replay", dead, dead);
      assert.equal((await api.settled(receiptIn(out))).outcome, "applied");
      assert.equal((await api.get("/api/data/again")).body.nombre, REFUSED);
    });
    const [, replayed = ""] = new RegExp(`^${dead}: replayed as (\\S+): put data/again$`, "m").exec(
      out,
    ) as string[];
    assert.ok(isWriteId(replayed) && replayed > dead);
    assert.equal(receiptIn(out), `/api/data/again/writes/${replayed}`);
    assert.equal((await api.settled(receiptIn(out))).version, replayed);
    assert.equal((await api.settled(`/api/data/again/writes/${dead}`)).outcome, "dead");
    const letter = await readLetter(dead);
    assert.equal(letter.replayedAs, replayed);
    assert.equal(new Date(letter.replayedAt).toISOString(), letter.replayedAt);
    assert.match(await read("list"), new RegExp(`${dead} .*\\[replayed as ${replayed}\\]`));

    const second = await run(["replay", dead]);
    assert.equal(second.status, 1);
    assert.equal(second.out, "");
    assert.equal(second.err, `${dead}: not replayed: it was replayed as ${replayed}\n`);
  });

  it("replays onto a version that a machine with a faster clock has minted", async () => {
    const writeAt = (ms: number, more: Partial<Write>) => {
      const id = v7({ msecs: Date.now() + ms });
      return makeWrite("ahead", { id, acceptedAt: getWriteTime(id), ...more });
    };
    const first = writeAt(30_000, { item: { nombre: "first" } });
    await publishByHand(environment, [encodeWrite(first)]);
    assert.equal((await api.settled(`/api/data/ahead/writes/${first.id}`)).outcome, "applied");
    const dead = writeAt(31_000, {});
    await kill(encodeWrite(dead));
    await whileAllowed(async () => {
      const out = await read("replay", dead.id);
      assert.equal((await api.settled(receiptIn(out))).outcome, "applied");
    });
  });

  it("does not overwrite what is newer than the dead write", async () => {
    const dead = await killPut("newer");
    const { headers } = await api.put("/api/data/newer", { nombre: "newer" }, WAIT);
    const { status, err } = await run(["replay", dead]);
    assert.equal(status, 1);
    const version = headers.get("etag")?.replaceAll('"', "");
    assert.equal(err, `${dead}: not replayed: A newer write was applied first: ${version}.\n`);
    assert.equal((await readLetter(dead)).replayedAt, null);
  });

  it("replays only where the dead write's own condition holds", async () => {
    await api.put("/api/data/there", { nombre: "there" }, WAIT);
    const cases: [string, Partial<Write>, RegExp][] = [
      ["absent", { ifMatch: "*" }, /not replayed: The item does not exist\.\n$/],
      [
        "there",
        { ifMatch: mintWriteId() },
        /not replayed: The version \S+ is not the current one\.\n$/,
      ],
      ["there", { ifNoneMatch: true }, /not replayed: The item exists\.\n$/],
      ["there", { kind: "create" }, /not replayed: An item with this id exists, or did\.\n$/],
    ];
    for (const [itemId, more, obstacle] of cases) {
      const write = makeWrite(itemId, more);
      const { attributes } = encodeWrite(write);
      // Dead as after the last delivery attempt; only its dead letter matters here.
      await query(
        environment.pool,
        "INSERT INTO dead_letters (message_id, write_id, attributes, data, reason, first_seen," +
          " last_seen) VALUES (?, ?, ?, '{\"nombre\":\"x\"}', 'given up', NOW(3), NOW(3))",
        [`by-hand-${write.id}`, write.id, JSON.stringify(attributes)],
      );
      const { status, err } = await run(["replay", write.id]);
      assert.equal(status, 1);
      assert.match(err, obstacle);
    }
    assert.equal((await api.get("/api/data/there")).body.nombre, "there");
  });

  it("says of a message that is no CloudEvent why it cannot be replayed", async () => {
    const [id = ""] = await kill({ attributes: {}, data: Buffer.from("hi") });
    const { status, out, err } = await run(["replay", id]);
    assert.equal(status, 1);
    assert.equal(out, "");
    assert.match(err, new RegExp(`^${id}: not replayed: The message is not a CloudEvent .*\n$`));
    assert.equal((await readLetter(id)).replayedAt, null);
  });

  it("replays what MySQL still refuses into a new dead letter, and its receipt says so", async () => {
    const dead = await killPut("still");
    const out = await read("replay", dead);
    const receipt = await api.settled(receiptIn(out));
    assert.equal(receipt.outcome, "dead");
    assert.match(receipt.reason as string, /^The database refused the item: .*not_refused\.$/);
    const letter = await readLetter(receiptIn(out).split("/").at(-1) as string);
    assert.match(letter.reason, /MySQL refused the item: .*not_refused/);
    assert.equal(letter.replayedAt, null);
    assertProblem(await api.get("/api/data/still"), 404, "not-found");
  });

  it("replays all that are open; of one item, the newest write", async () => {
    await query(environment.pool, "DELETE FROM dead_letters");
    const older = await killPut("twice");
    const newer = await killPut("twice");
    const other = await killPut("other");
    await whileAllowed(async () => {
      const dry = await run(["replay", "--all", "--dry-run"]);
      assert.match(dry.err, new RegExp(`^${older}: not replayed: another write of its item .*\n$`));
      const { status, out, err } = await run(["replay", "--all"]);
      assert.equal(status, 1);
      const replayed = [...out.matchAll(/^(\S+): replayed as (\S+):/gm)];
      assert.deepEqual(
        replayed.map(([, dead]) => dead),
        [other, newer],
      );
      assert.match(out, /^2 replayed, 1 failed\n$/m);
      // Which of the two, depends on whether the newer one is settled by then.
      const obstacle = "(another write of its item was replayed|A newer write was applied first)";
      assert.match(err, new RegExp(`^${older}: not replayed: ${obstacle}.*\n$`));
      for (const [, path] of out.matchAll(/its receipt: (\S+)/g))
        assert.equal((await api.settled(path as string)).outcome, "applied");
      const again = await run(["replay", "--all"]);
      assert.match(
        again.err,
        new RegExp(`^${older}: not replayed: A newer write was applied first: .*\n$`),
      );
    });
  });

  it("replays the others where publishing one fails, and exits with 1", async () => {
    await query(environment.pool, "DELETE FROM dead_letters");
    const dead = [await killPut("fails-1"), await killPut("fails-2")];
    const env = { PUBSUB_TOPIC: "no-such-topic" };
    const { status, out, err } = await spawnCommand(["replay", "--all"], env);
    assert.deepEqual([status, out], [1, "0 replayed, 2 failed\n"]);
    for (const id of dead) {
      assert.match(err, new RegExp(`^${id}: publishing failed: .*NOT_FOUND`, "m"));
      assert.equal((await readLetter(id)).replayedAt, null);
    }
  });

  it("helps on --help, and tells of wrong arguments on standard error with 2", async () => {
    for (const flag of ["--help", "-h"]) {
      const help = await read(flag);
      for (const part of [
        "list [--limit N]",
        "show ID",
        "replay --all",
        "--dry-run",
        "Exit status",
      ])
        assert.ok(help.includes(part), part);
    }
    const wrong: [string[], RegExp][] = [
      [[], /^Give a command: list, show, replay\./],
      [["lst"], /^There is no command "lst"\./],
      ...["toString", "constructor", "__proto__", "valueOf"].map((name): [string[], RegExp] => [
        [name],
        new RegExp(`^There is no command "${name}"\\.`),
      ]),
      [["list", "x"], /^The command list takes no ID\./],
      [["list", "--dry-run"], /^The command list has no --dry-run\./],
      [["show"], /^The command show takes one ID\./],
      [["show", "a", "b"], /^The command show takes one ID\./],
      [["replay"], /^The command replay takes either IDs or --all/],
      [["replay", "a", "--all"], /^The command replay takes either IDs or --all/],
      [["list", "--limit"], /^Option '--limit <value>' argument missing/],
      [["--unknown"], /^Unknown option '--unknown'/],
      ...["0", "-1", "x", "1.5", "", "1e3", "100001"].map((limit): [string[], RegExp] => [
        ["list", `--limit=${limit}`],
        /^--limit must be a whole number from 1 to 100000, not ".*"\./,
      ]),
    ];
    for (const [args, sentence] of wrong) {
      const { status, out, err } = await run(args);
      assert.equal(status, 2, args.join(" "));
      assert.equal(out, "");
      assert.match(err, sentence);
      assert.ok(err.includes("npm run ops -- dead-letters list"), "the usage");
    }
  });

  it("says in one sentence what is missing: the configuration, MySQL, its tables, Pub/Sub", async () => {
    const dead = await killPut("unsent");
    const elsewhere = new URL(environment.env.MYSQL_URL as string);
    elsewhere.pathname = "/mysql_none";
    const stranger = new URL(environment.env.MYSQL_URL as string);
    stranger.password = "wrong-password";
    const missing: [Record<string, string>, RegExp][] = [
      [
        { MYSQL_URL: "" },
        /^The configuration is invalid:\n {2}- MYSQL_URL is missing: .*\nOn your machine, run npm start .*\n$/,
      ],
      [
        { MYSQL_URL: "mysql://me:wrong-password@127.0.0.1:1/db" },
        /^MySQL cannot be reached at 127\.0\.0\.1:1 \(ECONNREFUSED\)\.\n$/,
      ],
      [
        { MYSQL_URL: "mysql://me:wrong-password@localhost:1/db" },
        /^MySQL cannot be reached at localhost:1 \(ECONNREFUSED\)\.\n$/,
      ],
      [
        { MYSQL_URL: "mysql://me@h/db?socketPath=/no.sock" },
        /reached at \/no\.sock \(ENOENT\)\.\n$/,
      ],
      [{ MYSQL_URL: stranger.href }, /^MySQL: Access denied for user .*\.\n$/],
      [{ MYSQL_URL: elsewhere.href }, /^MySQL: .*mysql_none.*\n$/],
    ];
    for (const [env, sentence] of missing) {
      const { status, out, err } = await run(["list"], env);
      assert.equal(status, 1);
      assert.equal(out, "");
      assert.match(err, sentence);
      assert.doesNotMatch(err, /wrong-password/);
    }
    const pubsub: [Record<string, string>, RegExp][] = [
      [{ PUBSUB_EMULATOR_HOST: "127.0.0.1:1" }, /UNAVAILABLE/],
      [{ PUBSUB_TOPIC: "no-such-topic" }, /NOT_FOUND/],
    ];
    for (const [env, code] of pubsub) {
      const { status, err } = await spawnCommand(["replay", dead], env);
      assert.equal(status, 1);
      assert.match(err, new RegExp(`^${dead}: publishing failed: .*\n$`));
      assert.match(err, code);
      assert.equal((await readLetter(dead)).replayedAt, null);
    }
    await query(environment.pool, "RENAME TABLE dead_letters TO away");
    const { err } = await run(["list"]);
    await query(environment.pool, "RENAME TABLE away TO dead_letters");
    assert.match(err, /^MySQL: Table .*dead_letters.* Run npm run migrate first\.\n$/);
  });

  it("is a program: it prints its help, or a sentence and the status 2", async () => {
    const help = await spawnCommand(["--help"]);
    assert.deepEqual([help.status, help.err], [0, ""]);
    assert.match(help.out, /^Lists, shows and replays dead letters/);
    const wrong = await spawnCommand(["lst"]);
    assert.deepEqual([wrong.status, wrong.out], [2, ""]);
    assert.match(wrong.err, /^There is no command "lst"\./);
  });

  it("ends with 0 when its reader closes the pipe early", async () => {
    const child = spawn(process.execPath, [COMMAND, "list"], {
      env: { PATH: process.env.PATH, ...environment.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.destroy();
    const err = readText(child.stderr);
    const status = await new Promise((resolve) => child.once("close", resolve));
    assert.deepEqual({ status, err: await err }, { status: 0, err: "" });
  });
});
