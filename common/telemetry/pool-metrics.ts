import { tracingChannel } from "node:diagnostics_channel";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Pool, PoolConnection } from "../database.ts";
import { countRefusedLogins } from "../mysql-login.ts";

/** mysql2 publishes here from each request for a connection until it is answered. */
const CONNECTION_REQUESTS = tracingChannel("mysql2:pool:connect");

/**
 * Shows a pool's connections and the requests that wait for one, under the names of OpenTelemetry's
 * semantic conventions for database clients.
 */
export function watchPool(registry: Registry, pool: Pool): void {
  const registers = [registry];
  const open = new Set<PoolConnection>();
  const used = new Set<PoolConnection>();
  const waiting = new Set<object>();
  pool.on("connection", (connection) => {
    open.add(connection);
    for (const event of ["end", "error"])
      connection.on(event, () => {
        open.delete(connection);
        used.delete(connection);
      });
  });
  pool.on("acquire", (connection) => used.add(connection));
  // Not emitted where the connection goes straight to the next request.
  pool.on("release", (connection) => used.delete(connection));
  watchQueue(pool, waiting);
  new Gauge({
    name: "db_client_connection_count",
    help: "Open connections to MySQL.",
    labelNames: ["state"],
    registers,
    collect() {
      this.set({ state: "idle" }, open.size - used.size);
      this.set({ state: "used" }, used.size);
    },
  });
  new Gauge({
    name: "db_client_connection_pending_requests",
    help: "Requests waiting for a connection to MySQL.",
    registers,
    collect() {
      this.set(waiting.size);
    },
  });
  new Counter({
    name: "constancia_refused_logins_total",
    help: "Log-ins that MySQL refused.",
    registers,
    collect() {
      this.reset();
      this.inc(countRefusedLogins(pool));
    },
  });
}

/** Keeps `waiting` at the requests in the pool's queue: it has no event for leaving the queue. */
function watchQueue(pool: Pool, waiting: Set<object>): void {
  let request: object;
  CONNECTION_REQUESTS.start.subscribe((started) => {
    request = started as object;
  });
  // Emitted synchronously, before another request can start.
  pool.on("enqueue", () => waiting.add(request));
  CONNECTION_REQUESTS.asyncEnd.subscribe((answered) => waiting.delete(answered as object));
}
