/**
 * Splits a header's value at the separators outside of quoted strings (RFC 9110, 5.6.4). Empty members
 * are left out (5.6.1).
 */
export function splitHeader(value: string, separator: "," | ";"): string[] {
  const members = value.match(separator === "," ? COMMA_MEMBER : SEMICOLON_MEMBER) ?? [];
  return members.map((member) => member.trim()).filter((member) => member !== "");
}

const COMMA_MEMBER = /(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g;
const SEMICOLON_MEMBER = /(?:[^;"]|"(?:[^"\\]|\\.)*"?)+/g;

/** Splits `name=value`: the name in lower case, the value without quotes and their escapes. */
export function readPair(member: string): { name: string; value: string } {
  const index = member.indexOf("=");
  if (index < 0) return { name: member.toLowerCase(), value: "" };
  const value = member.slice(index + 1).trim();
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(value) ?? [];
  return {
    name: member.slice(0, index).trim().toLowerCase(),
    value: quoted?.replace(/\\(.)/g, "$1") ?? value,
  };
}
