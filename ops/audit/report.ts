import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getWriteTime } from "../../common/write-id.ts";
import { escapeControls } from "../escape-controls.ts";
import type { Tally } from "./auditor.ts";
import type { Seen, Told } from "./input.ts";

/** Written at once; more would be held in memory for nothing. */
const CHUNK_CHARACTERS = 64 * 1024;

/**
 * The writes without a receipt, however many: in a temporary file, because the counts are printed
 * before them. The file has no name any more, so that no end of this process leaves it behind.
 */
export class MissingWrites {
  count = 0;
  #file: FileHandle | undefined;
  #unwritten = "";

  async add(told: Told): Promise<void> {
    this.count += 1;
    this.#unwritten += `${JSON.stringify(told)}\n`;
    if (this.#unwritten.length >= CHUNK_CHARACTERS) await this.#flush();
  }

  /** All of them, in the order in which they were found. */
  async *read(): AsyncGenerator<Told> {
    if (this.count === 0) return;
    await this.#flush();
    const lines = this.#file?.readLines({ start: 0, autoClose: false }) ?? [];
    for await (const line of lines) yield JSON.parse(line);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #flush(): Promise<void> {
    this.#file ??= await openNameless();
    await this.#file.write(this.#unwritten);
    this.#unwritten = "";
  }
}

type Report = { seen: Seen; tally: Tally; missing: MissingWrites };

/** Prints the counts, then every missing write, for people. */
export async function printReport({ seen, tally, missing }: Report): Promise<void> {
  const outcomes = Object.entries(tally.settled).filter(([, count]) => count > 0);
  const settled = outcomes.reduce((sum, [, count]) => sum + count, 0);
  const byOutcome = outcomes.map(([outcome, count]) => `${outcome} ${count}`).join(", ");
  const counts: [string, number, string?][] = [
    ["accepted lines read", seen.acceptedLines],
    ["bare ids read", seen.bareIds],
    ["other lines", seen.others],
    ["unreadable lines", seen.unreadable],
    ["ids told again", tally.toldAgain],
    ["distinct writes", tally.writes],
    ["settled", settled, byOutcome],
    ["in flight", tally.inFlight],
    ["beyond retention", tally.beyondRetention],
    ["missing", missing.count],
  ];
  const lines = counts.map(([name, count, more]) =>
    `${name.padEnd(20)}${String(count).padStart(9)}${more ? `  ${more}` : ""}`.concat("\n"),
  );
  await write(lines.join(""));
  await printEach(missing, "\n", (told) => {
    const { collection, item, request = "unknown", accepted } = showTold(told);
    const at = collection === undefined ? "item unknown" : `${collection}/${item}`;
    return `missing ${told.id}  ${at}  request ${request}  accepted ${accepted}\n`;
  });
}

/** Prints the same as one JSON document, for programs. */
export async function printJson({ seen, tally, missing }: Report): Promise<void> {
  const counts = { ...seen, ...tally, missing: missing.count };
  await write(`{"counts":${JSON.stringify(counts)},"missing":[`);
  await printEach(missing, "\n", (told, index) => {
    return `${index > 0 ? ",\n" : ""}${JSON.stringify(showTold(told))}`;
  });
  await write("]}\n");
}

function showTold({ id, ...rest }: Told) {
  return { write: id, ...rest, accepted: new Date(getWriteTime(id)).toISOString() };
}

async function printEach(
  missing: MissingWrites,
  opening: string,
  show: (told: Told, index: number) => string,
): Promise<void> {
  let text = missing.count > 0 ? opening : "";
  let index = 0;
  for await (const told of missing.read()) {
    text += show(told, index);
    index += 1;
    if (text.length < CHUNK_CHARACTERS) continue;
    await write(text);
    text = "";
  }
  await write(text);
}

/** Resolves once it is written, so that a slow reader does not fill the memory; or has gone. */
function write(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(escapeControls(text), () => resolve());
  });
}

async function openNameless(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), "audit-"));
  try {
    return await open(join(folder, "missing"), "wx+", 0o600);
  } finally {
    await rm(folder, { recursive: true });
  }
}
