/*
 * Protobuf's wire format, as far as Pub/Sub's messages need it
 * (protobuf.dev/programming-guides/encoding). A field is a tag, which is its number times 8 plus the
 * kind of what follows, and its content. Numbers of fields are below 16 here, so a tag is one byte.
 */

/** Kinds of content: a number, seven bits a byte; bytes, after their count; 8 bytes; 4 bytes. */
const NUMBER = 0;
const EIGHT_BYTES = 1;
const BYTES = 2;
const FOUR_BYTES = 5;

/** What a field with so many bytes in it takes: its tag, their count and them. */
export function lengthOfField(content: number): number {
  return 1 + lengthOfNumber(content) + content;
}

/** What a field with a number in it takes. */
export function lengthOfNumberField(value: number): number {
  return 1 + lengthOfNumber(value);
}

/** Begins a field of `length` bytes; returns where they go. */
export function writeField(bytes: Buffer, start: number, field: number, length: number): number {
  bytes[start] = field * 8 + BYTES;
  return writeNumber(bytes, start + 1, length);
}

/** A field with an ASCII text in it. Returns the place behind it, as the next one does. */
export function writeText(bytes: Buffer, start: number, field: number, text: string): number {
  const at = writeField(bytes, start, field, text.length);
  return at + bytes.write(text, at, "latin1");
}

/** A field with a number in it, from 0 to 2^31 - 1. */
export function writeNumberField(bytes: Buffer, start: number, field: number, value: number) {
  bytes[start] = field * 8 + NUMBER;
  return writeNumber(bytes, start + 1, value);
}

function lengthOfNumber(value: number): number {
  let digits = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits += 1;
  return digits;
}

/** Seven bits a byte, the lowest first; the highest bit of a byte: more follow. */
function writeNumber(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

/**
 * Reads fields one after the other: `while (reader.at < end) switch (reader.field()) …`, where each
 * case reads the field's content, and `skip` passes over one that is not known. Throws a RangeError
 * where the bytes end too early.
 */
export class FieldReader {
  at = 0;
  readonly #bytes: Buffer;
  #kind = NUMBER;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The number of the next field. */
  field(): number {
    const tag = this.#number();
    this.#kind = tag & 7;
    return tag >>> 3;
  }

  /** The place behind the bytes of this field, the first of which is the next to be read. */
  end(): number {
    if (this.#kind !== BYTES) throw new RangeError("A field of protobuf is not of its kind.");
    const length = this.#number();
    const end = this.at + length;
    if (end > this.#bytes.length) throw new RangeError("A field of protobuf is cut off.");
    return end;
  }

  text(): string {
    const end = this.end();
    const text = this.#bytes.toString("utf8", this.at, end);
    this.at = end;
    return text;
  }

  /** Not a copy. */
  bytes(): Buffer {
    const end = this.end();
    const bytes = this.#bytes.subarray(this.at, end);
    this.at = end;
    return bytes;
  }

  skip(): void {
    if (this.#kind === NUMBER) this.#number();
    else if (this.#kind === EIGHT_BYTES) this.at += 8;
    else if (this.#kind === FOUR_BYTES) this.at += 4;
    else this.at = this.end();
  }

  #number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw new RangeError("A message of protobuf is cut off.");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }
}
