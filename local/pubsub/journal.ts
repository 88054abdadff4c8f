import { createReadStream, existsSync } from "node:fs";
import { type FileHandle, mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  decodeMessage,
  type Message,
  type SnapshotConfig,
  type SubscriptionConfig,
  type TopicConfig,
} from "./wire.ts";

/** What happened, one line each. A later record goes on where the earlier ones have led. */
export type Record =
  | { kind: "topic"; topic: TopicConfig }
  | { kind: "topicGone"; name: string }
  | { kind: "subscription"; config: SubscriptionConfig; uid: string; createdAtMs: number }
  | { kind: "subscriptionGone"; name: string }
  | { kind: "published"; topic: string; messages: Stored[] }
  | { kind: "settled"; subscription: string; ids: string[] }
  | { kind: "backlog"; subscription: string; messages: Stored[] }
  | { kind: "snapshot"; snapshot: SnapshotConfig; messages: Stored[] }
  | { kind: "snapshotGone"; name: string };

/** A message: its id, its time, and its bytes in base64. */
export type Stored = [id: string, publishedAtMs: number, bytes: string];

/** Where what happened is written down. */
export type Journal = {
  append(record: Record): void;
  /** Resolves once everything appended so far is in the file. */
  written(): Promise<void>;
  close(): Promise<void>;
};

/** Of a server whose state ends with it. */
export const NO_JOURNAL: Journal = {
  append: () => {},
  written: async () => {},
  close: async () => {},
};

/** The file is written anew once it has grown by this, and by as much as it was then. */
const GROWTH_BYTES = 64 * 1024 * 1024;

/**
 * An append-only file. Records of one turn of the event loop are one write, and so are those that
 * come during a write; whoever waits for `written` waits for theirs. It outlives the process,
 * killed or not; there is no fsync, so that a machine that loses power may lose the last second.
 */
export class FileJournal implements Journal {
  readonly #path: string;
  readonly #describe: () => Iterable<Record>;
  #made: Made;
  #mostBytes: number;
  #pending: string[] = [];
  /** The write that will take what is pending, once the one under way is done. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, describe: () => Iterable<Record>, made: Made) {
    this.#path = path;
    this.#describe = describe;
    this.#made = made;
    this.#mostBytes = made.bytes * 2 + GROWTH_BYTES;
  }

  /**
   * Reads the folder's journal, applies it record by record, and writes it anew with what
   * `describe` says is left of it. A last line that is cut off is of a write that was answered to
   * nobody.
   */
  static async open(
    folder: string,
    apply: (record: Record) => void,
    describe: () => Iterable<Record>,
  ): Promise<FileJournal> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, "journal.jsonl");
    for await (const record of readRecords(path)) apply(record);
    return new FileJournal(path, describe, await rewrite(path, [...describe()]));
  }

  append(record: Record): void {
    this.#pending.push(`${JSON.stringify(record)}\n`);
    // Whoever needs to know that it failed waits for it, too.
    this.written().catch(() => {});
  }

  written(): Promise<void> {
    if (this.#next) return this.#next;
    const next = this.#last.then(async () => {
      await new Promise(setImmediate);
      this.#next = undefined;
      await this.#write();
    });
    this.#next = next;
    this.#last = next.catch(() => {});
    return next;
  }

  async close(): Promise<void> {
    await this.written().finally(() => this.#made.file.close());
  }

  async #write(): Promise<void> {
    const text = this.#pending.join("");
    this.#pending = [];
    if (this.#made.bytes + text.length > this.#mostBytes) return this.#compact();
    try {
      await this.#made.file.appendFile(text);
      this.#made.bytes += text.length;
    } catch (error) {
      // Half of it may be in the file; the next write makes the file anew.
      this.#mostBytes = 0;
      throw error;
    }
  }

  /** What the file is to hold is taken from the state at once; later records come after it. */
  async #compact(): Promise<void> {
    const made = await rewrite(this.#path, [...this.#describe()]);
    await this.#made.file.close();
    this.#made = made;
    this.#mostBytes = made.bytes * 2 + GROWTH_BYTES;
  }
}

export function store({ id, publishedAtMs, bytes }: Message): Stored {
  return [id, publishedAtMs, bytes.toString("base64")];
}

export function restore([id, publishedAtMs, base64]: Stored): Message {
  const bytes = Buffer.from(base64, "base64");
  return { id, publishedAtMs, orderingKey: decodeMessage(bytes).orderingKey ?? "", bytes };
}

type Made = { file: FileHandle; bytes: number };

/** Whole or not at all: it takes the old one's place by its name. */
async function rewrite(path: string, records: Record[]): Promise<Made> {
  const file = await open(`${path}.new`, "w", 0o600);
  let bytes = 0;
  for (const record of records) {
    const line = `${JSON.stringify(record)}\n`;
    await file.appendFile(line);
    bytes += line.length;
  }
  await rename(`${path}.new`, path);
  return { file, bytes };
}

async function* readRecords(path: string): AsyncGenerator<Record> {
  if (!existsSync(path)) return;
  let rest = "";
  let line = 0;
  for await (const chunk of createReadStream(path, { encoding: "utf8", highWaterMark: 1 << 20 })) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      line += 1;
      yield parse(text, `${path}, line ${line}`);
    }
  }
}

function parse(text: string, place: string): Record {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The journal of the local Pub/Sub cannot be read (${place}); remove it.`);
  }
}
