import type { Response } from "express";
import { PAGE_BYTES } from "../../common/limits.ts";
import type { Row } from "../../common/tables.ts";
import { sendJsonBytes } from "./json.ts";

/** Text is kept until there is this much of it, then as bytes: half of the size, and not on the heap. */
const TEXT_CHARACTERS = 64 * 1024;

/**
 * A page that is written item by item as the rows arrive, so that it holds their JSON and nothing
 * else. It ends after `limit` items, or before the one that would take it past PAGE_BYTES.
 */
export class Page {
  readonly #limit: number;
  readonly #response: Response;
  readonly #show: (row: Row) => unknown;
  readonly #parts: Buffer[] = [];
  #text = '{"data":[';
  #count = 0;
  #bytes = 0;
  /** The last item of the page. */
  last: Row | undefined;
  /** Whether more items follow; seen where the reader has one more than `limit`. */
  hasMore = false;

  constructor(response: Response, limit: number, show: (row: Row) => unknown) {
    this.#limit = limit;
    this.#response = response;
    this.#show = show;
  }

  /**
   * Adds a row. Returns false once the page is full by bytes, so that no further rows are read. Throws a
   * 503 Problem where the answers under way hold too many bytes.
   */
  take(row: Row): boolean {
    if (this.#count === this.#limit) {
      this.hasMore = true;
      // The statement's last row already; returning false would close the connection.
      return true;
    }
    const item = JSON.stringify(this.#show(row));
    const bytes = Buffer.byteLength(item);
    if (this.#count > 0 && this.#bytes + bytes > PAGE_BYTES) {
      this.hasMore = true;
      return false;
    }
    this.#text += this.#count > 0 ? `,${item}` : item;
    if (this.#text.length > TEXT_CHARACTERS) this.#keepText();
    this.#count += 1;
    this.#bytes += bytes;
    this.last = row;
    return true;
  }

  #keepText(): void {
    const part = Buffer.from(this.#text);
    this.#response.locals.memory.reserve(part.length);
    this.#parts.push(part);
    this.#text = "";
  }

  /** Answers `{"data": […]}`, with the other members after the items. */
  send(members: Record<string, unknown> = {}): void {
    const tail = Object.entries(members).map(
      ([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`,
    );
    this.#text += `]${tail.join("")}}`;
    this.#keepText();
    sendJsonBytes(this.#response, Buffer.concat(this.#parts));
    this.#response.locals.memory.disconnectIfUnread(this.#response);
  }
}
