import { setTimeout as sleep } from "node:timers/promises";
import { parseJson } from "../../common/json.ts";
import { type Api, readEtag } from "../../deploy/rollout/api.ts";
import { readTarget, type Target } from "../../deploy/rollout/target.ts";
import type { Settings } from "../../iac/settings.ts";
import { runGcloud } from "../gcloud.ts";

/** Google's answer to a question: as the documents say, otherwise, or not to be told. */
export type Verdict = "held" | "differs" | "unknown";
export type Finding = { verdict: Verdict; evidence: string };
export type Ask = (cloud: Cloud) => Promise<Finding>;

/** A write that was sent once for all questions about one. */
export type SentWrite = {
  status: number;
  id: string;
  write: string;
  requestId: string;
  answerMs: number;
  receipt: Record<string, unknown>;
  sentAt: number;
};

/** Reads of the logs for a line that was just written, and the longest pause of all that is waited for. */
export const LOOKS = 9;
const WAIT_SECONDS = 30;
const METRICS_TIMEOUT_MS = 30_000;

/** A deployed environment, and the ways to ask it. */
export class Cloud {
  readonly environment: string;
  readonly settings: Settings;
  readonly api: Api;
  /** Whether traffic may be moved, MySQL restarted and an instance ended. */
  readonly mayDisturb: boolean;
  /** Between two reads of a log or a receipt. */
  readonly pauseMs: number;
  readonly #monitoring: string;
  #sent: Promise<SentWrite> | undefined;

  constructor(options: {
    environment: string;
    settings: Settings;
    api: Api;
    mayDisturb: boolean;
    pauseMs: number;
    monitoring: string;
  }) {
    this.environment = options.environment;
    this.settings = options.settings;
    this.api = options.api;
    this.mayDisturb = options.mayDisturb;
    this.pauseMs = options.pauseMs;
    this.#monitoring = options.monitoring;
  }

  get project(): string {
    return this.settings.environment.projectId;
  }

  change(...args: string[]): Promise<string> {
    return runGcloud([...args, `--project=${this.project}`]);
  }

  async read<T>(...args: string[]): Promise<T> {
    return parseJson(await this.change(...args, "--format=json")) as T;
  }

  /** Entries of Cloud Logging, newest first. */
  readLog<T>(filter: string, limit = 50): Promise<T[]> {
    return this.read("logging", "read", filter, "--freshness=1d", `--limit=${limit}`);
  }

  /** Reads until `isDone` holds of what was read, but at most so often, with a pause between two reads. */
  async readUntil<T>(
    read: () => Promise<T>,
    isDone: (found: T) => boolean,
    most = LOOKS,
  ): Promise<T> {
    for (let look = 1; ; look += 1) {
      const found = await read();
      if (look === most || isDone(found)) return found;
      await sleep(this.pauseMs);
    }
  }

  readTarget(): Promise<Target> {
    return readTarget(this.api);
  }

  /** A write with `Prefer: wait`, its receipt, and its delete; the same one whenever it is asked for. */
  sendWrite(): Promise<SentWrite> {
    this.#sent ??= this.#send();
    return this.#sent;
  }

  async #send(): Promise<SentWrite> {
    const { path, item } = await this.readTarget();
    const sentAt = Date.now();
    const headers = { prefer: `wait=${WAIT_SECONDS}` };
    const created = await this.api("POST", path, { item, headers });
    const answerMs = Date.now() - sentAt;
    const id = String(created.body.id);
    const write = created.status === 201 ? readEtag(created) : String(created.body.write);
    const receipt = await this.api("GET", `${path}/${id}/writes/${write}`);
    if (created.status < 300) await this.api("DELETE", `${path}/${id}`);
    const requestId = created.headers.get("x-request-id") ?? "";
    const { status } = created;
    return { status, id, write, requestId, answerMs, receipt: receipt.body, sentAt };
  }

  /** Whether Cloud Monitoring has data of that metric, asked in PromQL as the alerts ask. */
  async hasMetric(name: string): Promise<boolean> {
    const token = (await runGcloud(["auth", "print-access-token"])).trim();
    const query = new URLSearchParams({ query: `count(last_over_time(${name}[1h]))` });
    const path = `/v1/projects/${this.project}/location/global/prometheus/api/v1/query?${query}`;
    const response = await fetch(this.#monitoring + path, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(METRICS_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`Cloud Monitoring answered ${response.status}.`);
    const { data } = parseJson(await response.text()) as { data?: { result?: unknown[] } };
    return (data?.result?.length ?? 0) > 0;
  }
}

export const held = (evidence: string): Finding => ({ verdict: "held", evidence });
export const differs = (evidence: string): Finding => ({ verdict: "differs", evidence });
export const unknown = (evidence: string): Finding => ({ verdict: "unknown", evidence });
