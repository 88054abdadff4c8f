import { setTimeout as sleep } from "node:timers/promises";
import { data } from "../../collections/data.ts";
import type { Row } from "../../common/tables.ts";
import { FeedReader, judgeFeed, ListReader, readToEnd } from "../../test/support/feed-readers.ts";
import type { ChaosCluster } from "../cluster/chaos-cluster.ts";
import { send } from "../cluster/requests.ts";

const LIMIT = 30;
const PAUSE_MS = { page: 25, failure: 200 };

/**
 * A reader of the feed, which begins again where its place is lost, and one of the list, from the first
 * write to the last.
 */
export class Followers {
  /** How often the feed's reader has begun again. */
  restarts = 0;
  readonly #cluster: ChaosCluster;
  readonly #list: ListReader;
  #feed: FeedReader;
  #isOver = false;

  constructor(cluster: ChaosCluster) {
    this.#cluster = cluster;
    this.#list = new ListReader((path) => this.#get(path), data.name, LIMIT);
    this.#feed = this.#begin();
  }

  /** Reads until `stop`; may be run again. */
  async run(): Promise<void> {
    this.#isOver = false;
    const readers = [() => this.#feed.step(), () => this.#list.step()].map(async (step) => {
      for (; !this.#isOver; await sleep(PAUSE_MS.page)) await step();
    });
    await Promise.all(readers);
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Reads what is left once everything is settled; returns what either has missed, in sentences. */
  async judge(rows: readonly Row[]): Promise<string[]> {
    await readToEnd({ step: () => this.#feed.step() });
    await readToEnd(this.#list);
    const met = new Set(this.#list.ids);
    const missed = rows.filter(({ id, deletedAt }) => deletedAt === null && !met.has(id));
    return [
      ...judgeFeed(this.#feed, rows),
      ...missed.map(({ id }) => `the list has passed by ${id}`),
    ];
  }

  #begin(): FeedReader {
    const get = async (path: string) => {
      const answer = await this.#get(path);
      if (answer.status !== 410) return answer;
      this.restarts += 1;
      this.#feed = this.#begin();
      return { ...answer, status: 0 };
    };
    return new FeedReader(get, data.name, LIMIT);
  }

  async #get(path: string) {
    const answer = await send({ method: "GET", url: this.#cluster.apiUrls[0] + path });
    if (answer.status !== 200) await sleep(PAUSE_MS.failure);
    return answer;
  }
}
