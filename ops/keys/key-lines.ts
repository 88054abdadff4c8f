import { createHash, randomBytes } from "node:crypto";
import { API_KEY_PREFIX, apiKeys, HOLDER, isScope } from "../../common/api-keys.ts";
import { UsageError } from "../command-line.ts";

/** A line of API_KEYS. The lines of one name are in the order in which they were added. */
export type KeyLine = { name: string; sha256: string; scopes: string[] };

/** Parses the value of API_KEYS; throws a sentence where it is not as the API requires it. */
export function parseLines(text: string): KeyLine[] {
  const parsed = apiKeys.safeParse(text);
  if (!parsed.success) throw new Error(`The secret's value ${parsed.error.issues[0]?.message}.`);
  return parsed.data.map(({ name, sha256, scopes }) => ({
    name,
    sha256: sha256.toString("hex"),
    scopes: [...scopes],
  }));
}

/** The value of API_KEYS with these lines. */
export function formatLines(lines: readonly KeyLine[]): string {
  return lines.map(({ name, sha256, scopes }) => [name, sha256, ...scopes].join(" ")).join("\n");
}

/** A new key, and the line with its hash. */
export function makeKey(name: string, scopes: readonly string[]): { key: string; line: KeyLine } {
  const key = `${API_KEY_PREFIX}${randomBytes(32).toString("base64url")}`;
  return { key, line: { name, sha256: hashKey(key), scopes: [...scopes] } };
}

/** A key's hash as its line has it. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** The lines with a first key of that name. */
export function addLine(lines: readonly KeyLine[], line: KeyLine): KeyLine[] {
  if (!HOLDER.test(line.name))
    throw new UsageError(`The name "${line.name}" must be of a-z, 0-9 and -, at most 32.`);
  const wrong = line.scopes.find((scope) => !isScope(scope));
  if (wrong !== undefined) throw new UsageError(`"${wrong}" is not a scope (docs/identity.md).`);
  if (line.scopes.length === 0) throw new UsageError("Give at least one scope, such as *:read.");
  if (lines.some(({ name }) => name === line.name))
    throw new UsageError(`${line.name} has a key already; use rotate to give it another.`);
  return [...lines, line];
}

/**
 * The lines with a new key of a name, and of its older ones the newest, which stays valid until the
 * next rotation or `retire`. So a name has two keys at most.
 */
export function rotateLine(lines: readonly KeyLine[], line: KeyLine): KeyLine[] {
  return [...retireLines(lines, line.name), line];
}

/** The lines with only the newest key of that name. */
export function retireLines(lines: readonly KeyLine[], name: string): KeyLine[] {
  const newest = findNewest(lines, name);
  return lines.filter((line) => line.name !== name || line === newest);
}

/** The lines without the keys of that name. */
export function removeLines(lines: readonly KeyLine[], name: string): KeyLine[] {
  findNewest(lines, name);
  return lines.filter((line) => line.name !== name);
}

/** The newest key of that name. */
export function findNewest(lines: readonly KeyLine[], name: string): KeyLine {
  const newest = lines.findLast((line) => line.name === name);
  if (!newest) throw new UsageError(`There is no key with the name ${JSON.stringify(name)}.`);
  return newest;
}
