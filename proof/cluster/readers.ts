import { setTimeout as sleep } from "node:timers/promises";
import { data } from "../../collections/data.ts";
import type { Collection } from "../../common/collection.ts";
import {
  FeedReader,
  judgeFeed,
  judgeList,
  ListReader,
  readToEnd,
} from "../../test/support/feed-readers.ts";
import { selectAllStored } from "../../test/support/snapshot.ts";
import type { ChaosCluster } from "./chaos-cluster.ts";
import { send } from "./requests.ts";

/** The collection where the cluster declares its feed. */
const DATA_WITH_FEED: Collection = { ...data, feed: true };

/** Items of a page: few, so that the readers are in the middle when something happens. */
const LIMIT = { list: 20, feed: 30 };
/** Between two pages, so that the clients get most of the processors; longer where one has failed. */
const PAUSE_MS = { page: 25, failure: 200 };

/** One reader of the list and one of the feed, from the first write to the last, through both APIs. */
export class Readers {
  readonly #cluster: ChaosCluster;
  readonly #list: ListReader;
  readonly #feed: FeedReader;
  #requests = 0;
  #isOver = false;

  constructor(cluster: ChaosCluster) {
    this.#cluster = cluster;
    const get = (path: string) => this.#get(path);
    this.#list = new ListReader(get, data.name, LIMIT.list);
    this.#feed = new FeedReader(get, data.name, LIMIT.feed);
  }

  /** Reads until `stop`. */
  async run(): Promise<void> {
    const readers = [this.#list, this.#feed].map(async (reader) => {
      for (; !this.#isOver; await sleep(PAUSE_MS.page)) await reader.step();
    });
    await Promise.all(readers);
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Reads what is left once everything is settled; returns what was missed or repeated, in sentences. */
  async judge(): Promise<string[]> {
    await Promise.all([this.#list, this.#feed].map(readToEnd));
    const stored = await selectAllStored(this.#cluster.database.pool, DATA_WITH_FEED);
    return [...judgeFeed(this.#feed, stored.rows), ...judgeList(this.#list.ids, stored)];
  }

  async #get(path: string) {
    this.#requests += 1;
    const url = this.#cluster.apiUrls[(this.#requests % 2) as 0 | 1] + path;
    const answer = await send({ method: "GET", url });
    if (answer.status !== 200) await sleep(PAUSE_MS.failure);
    return answer;
  }
}
