import { ITEM_ID } from "../../common/write.ts";
import { isWriteId } from "../../common/write-id.ts";

/** An accepted write, as the log tells it; a bare id tells nothing else. */
export type Told = { id: string; collection?: string; item?: string; request?: string };

/** What was read so far. */
export type Seen = {
  acceptedLines: number;
  bareIds: number;
  /** Lines and entries that tell of something else. */
  others: number;
  /** Told of accepted writes, or broke off, so that some may be unknown to us. */
  unreadable: number;
};

/** The message of the API's log line; the README, the docs and the log-based metrics use it too. */
export const ACCEPTED = "writes accepted";

/**
 * Of one line or entry, in characters: four times Cloud Logging's 256 KB an entry, for what
 * indentation adds. What is longer is cut, and then no JSON.
 */
const RECORD_CHARACTERS = 1024 * 1024;

/**
 * The accepted writes in a text: log lines in JSON as the API prints them, entries as gcloud prints
 * them, in an array or one a line, and bare write ids. All else is counted, and passed over.
 */
export async function* readTold(chunks: AsyncIterable<string>, seen: Seen): AsyncGenerator<Told[]> {
  const splitter = new Splitter();
  for await (const chunk of chunks)
    yield splitter.push(chunk).flatMap((record) => tellRecord(record, seen));
  if (splitter.isInArray) seen.unreadable += 1;
  else yield splitter.end().flatMap((record) => tellRecord(record, seen));
}

/** The writes that a log entry tells of: Cloud Logging's, or a line of the API. */
export function tellEntry(entry: unknown, seen: Seen): Told[] {
  const { jsonPayload = entry } = entry as { jsonPayload?: unknown };
  const { message, metadata } = (jsonPayload ?? {}) as {
    message?: unknown;
    metadata?: { writes?: unknown };
  };
  if (message !== ACCEPTED) {
    seen.others += 1;
    return [];
  }
  const writes: unknown[] = Array.isArray(metadata?.writes) ? metadata.writes : [];
  const told = writes.filter(isTold);
  seen.acceptedLines += 1;
  if (told.length === 0 || told.length < writes.length) seen.unreadable += 1;
  return told.map(({ id, collection = "", item = "", request }) => ({
    ...{ id, collection, item },
    ...(typeof request === "string" ? { request } : {}),
  }));
}

function tellRecord(record: string, seen: Seen): Told[] {
  const id = record.trim().replace(/^"(.*)"$/, "$1");
  if (id === "") return [];
  if (isWriteId(id)) {
    seen.bareIds += 1;
    return [{ id }];
  }
  if (record.includes(ACCEPTED)) {
    try {
      const entry: unknown = JSON.parse(record);
      if (typeof entry === "object" && entry !== null) return tellEntry(entry, seen);
    } catch {
      seen.unreadable += 1;
      return [];
    }
  }
  seen.others += 1;
  return [];
}

function isTold(write: unknown): write is Told {
  const { id, collection, item } = (write ?? {}) as Record<string, unknown>;
  return (
    typeof id === "string" &&
    isWriteId(id) &&
    typeof collection === "string" &&
    typeof item === "string" &&
    ITEM_ID.test(item)
  );
}

/** Cuts a text that comes in chunks into lines or, where it is a JSON array, into elements. */
export class Splitter {
  /** Undefined until the text's first characters tell. */
  #isArray: boolean | undefined;
  #rest = "";
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  push(chunk: string): string[] {
    const text = this.#isArray ? chunk : this.#rest + chunk;
    if (this.#isArray === undefined) {
      if (/^\s*\[?\s*$/.test(text) && text.length < RECORD_CHARACTERS) {
        this.#rest = text;
        return [];
      }
      // A line of another program may begin with a bracket too, but not so.
      this.#isArray = /^\s*\[\s*[{"\]]/.test(text);
      if (this.#isArray) this.#rest = "";
    }
    if (this.#isArray) return this.#pushElements(text);
    const lines = text.split("\n");
    this.#rest = cut(lines.pop() as string);
    return lines.map(cut);
  }

  /** What is left at the text's end. */
  end(): string[] {
    return this.#rest === "" ? [] : [this.#rest];
  }

  /** Whether the array has not ended. */
  get isInArray(): boolean {
    return this.#depth > 0;
  }

  /** Whether the text is a JSON array, and whole. */
  get isWholeArray(): boolean {
    return this.#isArray === true && !this.isInArray;
  }

  #pushElements(text: string): string[] {
    const elements: string[] = [];
    // Undefined between elements, where there is nothing to keep.
    let start = this.#depth > 1 || this.#isInString ? 0 : undefined;
    for (let at = 0; at < text.length; at += 1) {
      const isStart = this.#depth === 1 && !this.#isInString;
      if (!this.#step(text[at] as string)) continue;
      if (isStart) start = at;
      const isInElement = this.#depth > 1 || this.#isInString;
      if (start === undefined || isInElement) continue;
      if (this.#depth === 1 && start !== undefined) {
        elements.push(cut(this.#rest + text.slice(start, at + 1)));
        this.#rest = "";
      }
      start = undefined;
    }
    if (start !== undefined) this.#rest = cut(this.#rest + text.slice(start));
    return elements;
  }

  /** Takes one character; whether it opened or closed something. */
  #step(character: string): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (character === "\\") this.#isEscaped = true;
      else if (character === '"') this.#isInString = false;
      return !this.#isInString;
    }
    if (character === '"') this.#isInString = this.#depth > 0;
    else if (character === "[" || character === "{") this.#depth += 1;
    else if (character === "]" || character === "}") this.#depth = Math.max(0, this.#depth - 1);
    else return false;
    return true;
  }
}

/** A record that is too long keeps its beginning only, also when its end comes later. */
function cut(record: string): string {
  return record.slice(0, RECORD_CHARACTERS);
}
