import {
  ascii,
  BIGINT,
  BOOLEAN,
  BYTES,
  type ColumnRequirement,
  DATE_TIME,
  POSITION,
  text,
} from "./columns.ts";

/** A table as it must be. `nullable` says why a column must allow NULL. */
export type Table = {
  name: string;
  key: string;
  requirements: ReadonlyMap<string, ColumnRequirement>;
  nullable: ReadonlyMap<string, string>;
  /** Columns that an index must start with, for each of them, and what reads by it. */
  indexed: readonly { columns: readonly string[]; reader: string }[];
  /** Columns beside the key whose values may have to differ. */
  unique: readonly string[];
};

/** The tables that all collections share, as migrations/ creates them. */
export const SHARED_TABLES: readonly Table[] = [
  {
    name: "writes",
    key: "id",
    requirements: new Map([
      ["id", ascii(36)],
      ["collection", ascii(48)],
      ["item_id", ascii(64)],
      ["outcome", ascii(16)],
      ["reason", text(255)],
      ["settled_at", DATE_TIME],
      ["trace", ascii(32)],
      ["created", BOOLEAN],
      ["code", ascii(32)],
      ["subject", ascii(255)],
      ["position", BIGINT],
      ["accepted_at", DATE_TIME],
    ]),
    nullable: toNullable(
      ...["reason", "trace", "created", "code", "subject", "position", "accepted_at"],
    ),
    indexed: [],
    unique: [],
  },
  {
    name: "waiting",
    key: "write_id",
    requirements: new Map([
      ["write_id", ascii(36)],
      ["first_judged", DATE_TIME],
    ]),
    nullable: new Map(),
    indexed: [],
    unique: [],
  },
  {
    name: "dead_letters",
    key: "message_id",
    requirements: new Map([
      ["message_id", ascii(128)],
      ["write_id", ascii(36)],
      ["attributes", text(Number.POSITIVE_INFINITY)],
      ["data", BYTES],
      ["reason", text(1_000)],
      ["first_seen", DATE_TIME],
      ["last_seen", DATE_TIME],
      ["replayed_at", DATE_TIME],
      ["replayed_as", ascii(36)],
      ["published_at", DATE_TIME],
    ]),
    nullable: toNullable("write_id", "replayed_at", "replayed_as", "published_at"),
    indexed: [],
    unique: ["write_id"],
  },
  {
    name: "feeds",
    key: "collection",
    requirements: new Map([
      ["collection", ascii(48)],
      ["epoch", ascii(36)],
      ["position", POSITION],
      ["swept", POSITION],
    ]),
    nullable: new Map(),
    indexed: [],
    unique: [],
  },
  {
    name: "sweeps",
    key: "name",
    requirements: new Map([
      ["name", ascii(16)],
      ["swept_at", DATE_TIME],
    ]),
    nullable: new Map(),
    indexed: [],
    unique: [],
  },
];

/** Columns that may be NULL, without a reason that a sentence would give. */
export function toNullable(...names: string[]): Map<string, string> {
  return new Map(names.map((name) => [name, ""]));
}
