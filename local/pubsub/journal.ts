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

/** One change, a line of the journal; replayed in order, the records rebuild the state. */
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

/** Where changes are recorded. */
export type Journal = {
  append(record: Record): void;
  /** Resolves once everything appended so far is in the file. */
  written(): Promise<void>;
  close(): Promise<void>;
};

/** For a server that keeps its state in memory only. */
export const NO_JOURNAL: Journal = {
  append: () => {},
  written: async () => {},
  close: async () => {},
};

/** The file is compacted once it has doubled and grown by this. */
const GROWTH_BYTES = 64 * 1024 * 1024;

/**
 * An append-only file. Records of one turn of the event loop are one write, and so are those that
 * arrive during a write. The file survives a kill of the process; there is no fsync, so a power
 * failure may lose the last second.
 */
export class FileJournal implements Journal {
  readonly #path: string;
  readonly #describe: () => Iterable<Record>;
  #open: OpenFile;
  #mostBytes: number;
  #pending: string[] = [];
  /** The write that takes what is pending, after the present one. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, describe: () => Iterable<Record>, made: OpenFile) {
    this.#path = path;
    this.#describe = describe;
    this.#open = made;
    this.#mostBytes = made.bytes * 2 + GROWTH_BYTES;
  }

  /**
   * Reads the folder's journal, applies it record by record, and compacts it to the records of
   * `describe`. A last line that is cut off belongs to a write that was never acknowledged.
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
    // Callers that need the result await `written` themselves.
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
    await this.written().finally(() => this.#open.file.close());
  }

  async #write(): Promise<void> {
    const text = this.#pending.join("");
    this.#pending = [];
    if (this.#open.bytes + text.length > this.#mostBytes) return this.#compact();
    try {
      await this.#open.file.appendFile(text);
      this.#open.bytes += text.length;
    } catch (error) {
      // A part of the text may be in the file; the next write rewrites the file.
      this.#mostBytes = 0;
      throw error;
    }
  }

  /** The state is read at once; later records are appended after it. */
  async #compact(): Promise<void> {
    const made = await rewrite(this.#path, [...this.#describe()]);
    await this.#open.file.close();
    this.#open = made;
    this.#mostBytes = made.bytes * 2 + GROWTH_BYTES;
  }
}

export function serializeMessage({ id, publishedAtMs, bytes }: Message): Stored {
  return [id, publishedAtMs, bytes.toString("base64")];
}

export function deserializeMessage([id, publishedAtMs, base64]: Stored): Message {
  const bytes = Buffer.from(base64, "base64");
  return { id, publishedAtMs, orderingKey: decodeMessage(bytes).orderingKey ?? "", bytes };
}

type OpenFile = { file: FileHandle; bytes: number };

/** Writes a new file and renames it over the old one, so that a file is whole or not there. */
async function rewrite(path: string, records: Record[]): Promise<OpenFile> {
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
