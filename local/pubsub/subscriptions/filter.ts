import { invalidArgument } from "../errors.ts";

/** Whether a message with these attributes is for the subscription. */
export type Filter = (attributes: Readonly<Record<string, string>>) => boolean;

/** How deep parentheses and NOTs may nest; a filter of 256 bytes reaches half of this. */
const MAX_DEPTH = 256;

const TOKEN = /\s+|("(?:[^"\\]|\\.)*")|(!=|[:=().,-])|([A-Za-z_][\w-]*)|([\w-]+)/gy;

/**
 * Reads a filter (Pub/Sub documentation, "Filter messages from a subscription"):
 * `attributes:key`, `attributes.key = "v"`, `!=`, `hasPrefix(attributes.key, "v")`, NOT or `-`,
 * AND, OR, parentheses. AND beside OR needs parentheses. Throws where the text is no filter.
 */
export function parseFilter(text: string): Filter {
  if (text.trim() === "") return () => true;
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  readonly #tokens: string[];
  #place = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = this.#readTokens();
  }

  parse(): Filter {
    const filter = this.#readTerms();
    if (this.#place < this.#tokens.length) throw this.#error();
    return filter;
  }

  #readTokens(): string[] {
    const tokens: string[] = [];
    let end = 0;
    for (const match of this.#text.matchAll(TOKEN)) {
      end = match.index + match[0].length;
      if (match[0].trim() !== "") tokens.push(match[0]);
    }
    if (end !== this.#text.length) throw this.#error();
    return tokens;
  }

  /** Terms, all joined by AND or all by OR; reading stops at the other operator. */
  #readTerms(): Filter {
    const terms = [this.#readTerm()];
    const joint = this.#next();
    if (joint !== "AND" && joint !== "OR") return terms[0] as Filter;
    while (this.#take(joint)) terms.push(this.#readTerm());
    return joint === "AND"
      ? (attributes) => terms.every((term) => term(attributes))
      : (attributes) => terms.some((term) => term(attributes));
  }

  #readTerm(): Filter {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw this.#error();
    const term = this.#readNested();
    this.#depth -= 1;
    return term;
  }

  #readNested(): Filter {
    if (this.#take("NOT") || this.#take("-")) {
      const term = this.#readTerm();
      return (attributes) => !term(attributes);
    }
    if (this.#take("(")) {
      const terms = this.#readTerms();
      this.#expect(")");
      return terms;
    }
    if (this.#take("hasPrefix")) return this.#readPrefix();
    this.#expect("attributes");
    if (this.#take(":")) {
      const key = this.#readKey();
      return (attributes) => Object.hasOwn(attributes, key);
    }
    const key = this.#readAttribute();
    const isEqual = this.#take("=");
    if (!isEqual) this.#expect("!=");
    const value = this.#readString();
    // A message without the attribute differs from any value.
    return (attributes) => (read(attributes, key) === value) === isEqual;
  }

  #readPrefix(): Filter {
    this.#expect("(");
    this.#expect("attributes");
    const key = this.#readAttribute();
    this.#expect(",");
    const prefix = this.#readString();
    this.#expect(")");
    return (attributes) => read(attributes, key)?.startsWith(prefix) ?? false;
  }

  #readAttribute(): string {
    this.#expect(".");
    return this.#readKey();
  }

  /** A key with other characters than letters, digits, hyphens and underscores is a string. */
  #readKey(): string {
    const token = this.#next() ?? "";
    if (token.startsWith('"')) return this.#readString();
    if (!/^[\w-]+$/.test(token)) throw this.#error();
    this.#place += 1;
    return token;
  }

  #readString(): string {
    const token = this.#next() ?? "";
    if (!token.startsWith('"')) throw this.#error();
    this.#place += 1;
    return token
      .slice(1, -1)
      .replaceAll(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|[0-7]{3}|.)/g, unescapeOne);
  }

  #next(): string | undefined {
    return this.#tokens[this.#place];
  }

  #take(token: string): boolean {
    if (this.#next() !== token) return false;
    this.#place += 1;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw this.#error();
  }

  #error() {
    return invalidArgument(`Invalid filter expression given (filter=${this.#text}).`);
  }
}

/** The message's own attributes only: every object has a `constructor`. */
function read(attributes: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
}

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v" };

function unescapeOne(_whole: string, code: string): string {
  if (/^[xu]./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
  if (/^[0-7]{3}$/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
  return ESCAPES[code] ?? code;
}
