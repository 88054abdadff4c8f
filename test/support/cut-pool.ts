import { openPool, type Pool, type PoolConnection, query } from "../../common/database.ts";

/** Where a transaction's connection is cut: before its n-th statement, or after its commit. */
export type Cut = { beforeStatement: number } | "afterCommit";

type Statement = { sql: string; values?: unknown[] };

/**
 * A pool whose next transaction can be made to lose its connection: another connection kills it, so
 * that MySQL rolls back, or has committed and its answer is lost.
 */
export class CutPool {
  readonly pool: Pool;
  readonly #killer: Pool;
  #cut: Cut | undefined;
  #statements = 0;
  #onStatement: (statements: number) => void = () => {};

  constructor(mysqlUrl: URL) {
    this.pool = openPool({ mysqlUrl, poolSize: 1 });
    this.#killer = openPool({ mysqlUrl, poolSize: 1 });
    const borrow = this.pool.getConnection.bind(this.pool);
    this.pool.getConnection = async () => this.#watch(await borrow());
  }

  /** Counts statements from here on; at `cut` the connection is lost, once. */
  arm(cut?: Cut): void {
    this.#cut = cut;
    this.#statements = 0;
  }

  /** Resolves once so many statements were sent since `arm`. */
  sent(statements: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onStatement = (sent) => sent >= statements && resolve();
      this.#onStatement(this.#statements);
    });
  }

  async end(): Promise<void> {
    await Promise.all([this.pool.end(), this.#killer.end()]);
  }

  #watch(connection: PoolConnection): PoolConnection {
    const run = connection.query.bind(connection);
    const watched = async ({ sql, values }: Statement) => {
      const cut = this.#cut;
      if (typeof cut === "object" && cut.beforeStatement === this.#statements)
        await this.#kill(connection.threadId);
      // Without its timeout: the driver leaves a lost statement's timer running.
      const sent = run({ sql, values: values ?? [] });
      this.#statements += 1;
      this.#onStatement(this.#statements);
      const result = await sent;
      if (cut !== "afterCommit" || sql !== "COMMIT") return result;
      await this.#kill(connection.threadId);
      throw Object.assign(new Error("The answer was lost."), { code: "PROTOCOL_CONNECTION_LOST" });
    };
    connection.query = watched as unknown as typeof connection.query;
    return connection;
  }

  async #kill(thread: number): Promise<void> {
    this.#cut = undefined;
    await query(this.#killer, `KILL CONNECTION ${thread}`);
  }
}
