import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "../../local/pubsub/faults.ts";
import { showKey } from "../../test/support/keys.ts";
import { berths } from "../support/holds.ts";
import { SUBJECTS } from "../support/owned.ts";
import type { ChaosCluster } from "./chaos-cluster.ts";
import type { Ledger } from "./ledger.ts";
import { type Call, send } from "./requests.ts";

/** Few, so that the subjects contend for them. */
const BERTHS = 3;
const CLIENTS_A_SUBJECT = 2;
/** Some of a hold's two seconds. */
const PAUSE_MS = 400;
/** The share of writes whose clients wait. */
const WAIT_SHARE = 0.3;
/** The statuses of the contract; 0 where there was no answer. */
const EXPECTED = new Set([0, 200, 201, 202, 204, 403, 404, 409, 410, 412, 422, 503]);

type Draws = [kind: number, api: number, berth: number, wait: number, pause: number];

/** Subjects that take, renew and release berths, through both APIs. */
export class HoldClients {
  readonly #cluster: ChaosCluster;
  readonly #ledger: Ledger;
  readonly #seed: number;
  /** The last write to each berth that was confirmed to anyone. */
  readonly #versions = new Map<string, string>();
  #isOver = false;

  constructor(cluster: ChaosCluster, ledger: Ledger, seed: number) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    this.#seed = seed;
  }

  /** Writes until `stop`. */
  async run(): Promise<void> {
    const clients = SUBJECTS.flatMap((subject) =>
      Array.from({ length: CLIENTS_A_SUBJECT }, (_, number) => this.#client(subject, number)),
    );
    await Promise.all(clients);
  }

  stop(): void {
    this.#isOver = true;
  }

  async #client(subject: string, number: number): Promise<void> {
    const random = createRandom(`holds ${this.#seed} ${subject} ${number}`);
    while (!this.#isOver) {
      const draws = Array.from({ length: 5 }, random) as Draws;
      await this.#send(this.#draw(subject, draws));
      await sleep(draws[4] * PAUSE_MS);
    }
  }

  /** What a subject does next: it takes a berth or renews, takes one that must be free, or releases. */
  #draw(subject: string, [kind, api, berth, wait]: Draws): Call {
    const address = this.#cluster.apiUrls[api < 0.5 ? 0 : 1];
    const item = `berth-${Math.floor(berth * BERTHS)}`;
    const url = `${address}/api/${berths.name}/${item}`;
    const version = this.#versions.get(item);
    const prefer: Record<string, string> = wait < WAIT_SHARE ? { prefer: "wait=2" } : {};
    const headers = { ...showKey(subject), ...prefer };
    if (kind < 0.15) return { method: "DELETE", url, headers };
    const put = { method: "PUT", url, body: {} };
    if (kind < 0.5) return { ...put, headers: { ...headers, "if-none-match": "*" } };
    if (kind < 0.65 && version)
      return { ...put, headers: { ...headers, "if-match": `"${version}"` } };
    return { ...put, headers };
  }

  async #send(call: Call): Promise<void> {
    const { status, headers, body } = await send(call);
    this.#ledger.count(status);
    if (!EXPECTED.has(status))
      this.#ledger.violations.push(
        `${call.method} ${new URL(call.url).pathname} was answered ${status} ${JSON.stringify(body)}`,
      );
    const receipt = /<(.*?)>; rel="status"/.exec(String(headers.link ?? ""))?.[1];
    const [, item, write] = /\/(berth-\d+)\/writes\/(.*)$/.exec(receipt ?? "") ?? [];
    if (!receipt || !item || !write) return;
    this.#ledger.accept(write, item, receipt);
    this.#versions.set(item, write);
  }
}
