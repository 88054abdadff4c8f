import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { closePool, openPool, type Pool, query } from "../../common/database.ts";
import { classifyDatabaseError, isRefusedLogin } from "../../common/database-faults.ts";
import { countRefusedLogins } from "../../common/mysql-login.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { migrate } from "../../ops/migrate.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createClient } from "../support/http.ts";
import { startPusher, wrap } from "../support/pusher.ts";
import { until } from "../support/until.ts";

const PASSWORD = "its own, of some length";

let environment: TestEnvironment;
let isMariadb: boolean;
let folder: string;
let relay: Relay;
/** An account of the engine's default kind, with a password; on MySQL, caching_sha2_password. */
let account: string;
const pools: Pool[] = [];

before(async () => {
  environment = await createTestEnvironment();
  folder = await mkdtemp(join(tmpdir(), "constancia-"));
  relay = await startRelay(join(folder, "mysql.sock"), new URL(environment.env.MYSQL_URL ?? ""));
  const [row] = await query(environment.pool, "SELECT VERSION() AS version");
  isMariadb = String(row?.version).includes("MariaDB");
});
after(async () => {
  relay.server.close();
  await environment.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  const database = new URL(environment.env.MYSQL_URL ?? "").pathname.slice(1);
  account = `a_${database}`;
  await query(environment.pool, `CREATE USER '${account}'@'%' IDENTIFIED BY '${PASSWORD}'`);
  await query(environment.pool, `GRANT ALL ON ${database}.* TO '${account}'@'%'`);
  await forgetPasswords();
  relay.opened = 0;
});
afterEach(async () => {
  await Promise.all(pools.splice(0).map(closePool));
  await query(environment.pool, `DROP USER '${account}'@'%'`);
});

/** The account's URL, by TCP or by a Unix socket. */
function buildUrl({ socketPath, password = PASSWORD }: { socketPath?: string; password?: string }) {
  const url = new URL(environment.env.MYSQL_URL ?? "");
  url.username = account;
  url.password = encodeURIComponent(password);
  if (socketPath) url.searchParams.set("socketPath", socketPath);
  return url;
}

function open(options: Parameters<typeof buildUrl>[0], poolSize = 1): Pool {
  const pool = openPool({ mysqlUrl: buildUrl(options), poolSize });
  pools.push(pool);
  return pool;
}

/** Empties the server's cache of passwords, as its restart does. */
const forgetPasswords = () => query(environment.pool, "FLUSH PRIVILEGES");

/** The account that MySQL says it has let in. */
async function whoAmI(pool: Pool): Promise<string> {
  const [row] = await query(pool, "SELECT CURRENT_USER() AS account");
  return String(row?.account);
}

/** Closes the pool's connection, so that the next statement logs in again. */
async function disconnect(pool: Pool): Promise<void> {
  await query(pool, "KILL CONNECTION_ID()").catch(() => {});
}

describe("the log-in", () => {
  it("succeeds at once over a socket that a proxy carries on over TCP, whatever the server has cached", async () => {
    const pool = open({ socketPath: relay.path });
    assert.equal(await whoAmI(pool), `${account}@%`);
    await disconnect(pool);
    assert.equal(await whoAmI(pool), `${account}@%`, "the server knows the password");
    await forgetPasswords();
    await disconnect(pool);
    assert.equal(await whoAmI(pool), `${account}@%`);
    assert.deepEqual([relay.opened, countRefusedLogins(pool)], [3, 0]);
  });

  it("succeeds over the server's own socket, and remembers how", async (t) => {
    const [row] = await query(environment.pool, "SELECT @@socket AS path");
    const path = String(row?.path);
    if (!existsSync(path)) return t.skip("the server's socket is not on this machine");
    const own = await startRelay(join(folder, "own.sock"), path);
    try {
      const pool = open({ socketPath: own.path });
      assert.equal(await whoAmI(pool), `${account}@%`);
      assert.equal(own.opened, isMariadb ? 1 : 2, "the other way was tried once");
      await forgetPasswords();
      await disconnect(pool);
      assert.equal(await whoAmI(pool), `${account}@%`);
      assert.equal(own.opened, isMariadb ? 2 : 3, "it is not tried again");
    } finally {
      own.server.close();
    }
  });

  it("succeeds over TCP", async () => {
    const pool = open({});
    assert.equal(await whoAmI(pool), `${account}@%`);
    await forgetPasswords();
    await disconnect(pool);
    assert.equal(await whoAmI(pool), `${account}@%`);
  });

  it("succeeds for several connections that are opened at once", async (t) => {
    const [row] = await query(environment.pool, "SELECT @@socket AS path");
    const own = String(row?.path);
    const paths = existsSync(own) ? [relay.path, own] : [relay.path];
    for (const socketPath of paths) {
      await forgetPasswords();
      const pool = open({ socketPath }, 5);
      const sleeps = Array.from({ length: 5 }, () => query(pool, "DO SLEEP(0.2)"));
      await Promise.all(sleeps);
      t.diagnostic(socketPath);
    }
  });

  it("fails with a wrong password after one more attempt at most, each time", async () => {
    for (const way of [{ socketPath: relay.path }, {}]) {
      relay.opened = 0;
      const pool = open({ ...way, password: "another" });
      for (const attempt of [1, 2, 3]) {
        await assert.rejects(whoAmI(pool), (error) => {
          assert.ok(isRefusedLogin(error), String(error));
          return true;
        });
        assert.equal(countRefusedLogins(pool), attempt);
        assert.ok(relay.opened <= 2 * attempt, `${relay.opened} connections`);
      }
    }
  });

  it("succeeds for the migrations, too", async () => {
    assert.deepEqual(await migrate(buildUrl({ socketPath: relay.path })), []);
    assert.equal(relay.opened, 1);
    await assert.rejects(
      migrate(buildUrl({ socketPath: relay.path, password: "another" })),
      /^Error: Access denied for user /,
    );
    assert.ok(relay.opened <= 3);
  });
});

describe("a log-in that is refused", () => {
  const refusals: [what: string, statement: () => string, change?: (url: URL) => void][] = [
    ["a wrong password", () => `ALTER USER '${account}'@'%' IDENTIFIED BY 'another'`],
    ["an account that is locked", () => `ALTER USER '${account}'@'%' ACCOUNT LOCK`],
    ["a password that has expired", () => `ALTER USER '${account}'@'%' PASSWORD EXPIRE`],
    ["an insecure connection", () => `ALTER USER '${account}'@'%' REQUIRE SSL`],
    ["a missing right", () => `REVOKE ALL PRIVILEGES, GRANT OPTION FROM '${account}'@'%'`],
    [
      "a database that is missing",
      () => `GRANT ALL ON *.* TO '${account}'@'%'`,
      (url) => {
        url.pathname = "/never_made";
      },
    ],
  ];
  for (const [what, statement, change] of refusals)
    it(`is known as one, and as a fault that passes: ${what}`, async () => {
      await query(environment.pool, statement());
      const mysqlUrl = buildUrl({});
      change?.(mysqlUrl);
      const pool = openPool({ mysqlUrl, poolSize: 1 });
      pools.push(pool);
      await assert.rejects(query(pool, "SELECT 1 FROM data"), (error) => {
        assert.ok(isRefusedLogin(error), String(error));
        assert.equal(classifyDatabaseError(error), "transient");
        return true;
      });
    });

  it("is logged and counted, and no write is dead of it: all are applied once it ends", async () => {
    const env = { MYSQL_URL: buildUrl({ socketPath: relay.path, password: PASSWORD }).href };
    await query(environment.pool, `ALTER USER '${account}'@'%' IDENTIFIED BY 'another'`);
    const spawned = { ...env, METRICS_PORT: "0" };
    const [api, subscriber] = await Promise.all([
      environment.spawn("api", spawned),
      environment.spawn("subscriber", spawned),
    ]);
    const client = createClient(api.url);
    const { status, body } = await client.put("/api/data/held", { nombre: "held" });
    assert.equal(status, 202);
    const line = /error MySQL refuses the log-in .*code=ER_ACCESS_DENIED_ERROR/;
    for (const { output } of [api, subscriber])
      await until("it is logged", () => line.test(output()));
    const ready = await client.get("/health/ready");
    assert.deepEqual(
      [ready.status, ready.body.cause, ready.body.faults],
      [503, "no-database", ["MySQL refuses the log-in (ER_ACCESS_DENIED_ERROR)."]],
    );
    await query(environment.pool, `ALTER USER '${account}'@'%' IDENTIFIED BY '${PASSWORD}'`);
    assert.equal((await client.settled(body.receipt)).outcome, "applied");
    assert.deepEqual(await query(environment.pool, "SELECT write_id FROM dead_letters"), []);
    assert.equal(api.output().match(new RegExp(line, "g"))?.length, 1, "once a minute at most");
    await Promise.all([api.end(), subscriber.end()]);
  });

  it("gives back what is pushed meanwhile, and settles it once it ends", async (t) => {
    const pusher = await startPusher();
    t.after(() => pusher.close());
    await query(environment.pool, `ALTER USER '${account}'@'%' IDENTIFIED BY 'another'`);
    const env = { ...pusher.env, MYSQL_URL: buildUrl({ socketPath: relay.path }).href };
    const subscriber = await environment.spawn("subscriber", env);
    const client = createClient(subscriber.url);
    const id = mintWriteId();
    const put = { kind: "put", collection: data, itemId: "pushed", acceptedAt: getWriteTime(id) };
    const body = wrap(encodeWrite({ ...put, id, item: { nombre: "pushed" } } as Write), "m-1");
    const deliver = async () => {
      const headers = { authorization: `Bearer ${pusher.token()}` };
      return (await client.send("POST", "/push", { body, headers })).status;
    };
    assert.equal(await deliver(), 503);
    await query(environment.pool, `ALTER USER '${account}'@'%' IDENTIFIED BY '${PASSWORD}'`);
    await until("it is settled", async () => (await deliver()) === 204);
    const rows = await query(environment.pool, "SELECT version FROM data WHERE id = 'pushed'");
    assert.deepEqual(
      rows.map(({ version }) => version),
      [id],
    );
    assert.deepEqual(await query(environment.pool, "SELECT write_id FROM dead_letters"), []);
    await subscriber.end();
  });
});

type Relay = { path: string; opened: number; server: Server };

/** A Unix socket whose connections are carried on to the server, as Cloud SQL's proxy does. */
async function startRelay(path: string, target: URL | string): Promise<Relay> {
  const server = createServer((near) => {
    state.opened += 1;
    const far =
      typeof target === "string" ? connect(target) : connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const)
      from.on("error", () => to.destroy()).pipe(to);
  });
  const state = { path, opened: 0, server };
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return state;
}
