import fc from "fast-check";

/**
 * JSON texts as any encoder may write them: each character of a string raw or with one of its
 * escapes, and space between the tokens. The keys of an object differ.
 */
const space = fc.constantFrom("", "", " ", "\n", "\r\n\t");
const character = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...'\\"/unbt:,{}[] aeEé\n') },
  { weight: 1, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 1 }) },
);
const SHORT_ESCAPES: Record<string, string> = { '"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n" };

/** A string of such characters. */
export function stringToken(
  one: fc.Arbitrary<string> = character,
  { minLength = 0, maxLength = 6 } = {},
): fc.Arbitrary<string> {
  return fc.array(fc.tuple(one, fc.nat(2)), { minLength, maxLength }).map((characters) => {
    const units = characters.flatMap(([text, way]) =>
      text.split("").map((unit) => writeUnit(unit, way)),
    );
    return `"${units.join("")}"`;
  });
}

const numberToken = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.integer().map(String),
  fc.maxSafeInteger().map(String),
);

/** A document whose strings, also its keys, are `string`s. */
export function jsonText(string: fc.Arbitrary<string> = stringToken()): {
  document: fc.Arbitrary<string>;
  object: fc.Arbitrary<string>;
} {
  return fc.letrec<{ document: string; object: string; array: string }>((tie) => ({
    document: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(string, numberToken, fc.constantFrom("true", "false", "null")),
      tie("object"),
      tie("object"),
      tie("array"),
    ),
    array: fc
      .tuple(space, fc.array(tie("document"), { maxLength: 4 }), space)
      .map(([before, parts, after]) => `[${before}${parts.join(`${after},`)}${after}]`),
    object: fc
      .tuple(
        space,
        fc.uniqueArray(fc.tuple(string, tie("document")), {
          selector: ([key]) => JSON.parse(key),
          maxLength: 4,
        }),
        space,
      )
      .map(([before, entries, after]) => {
        const parts = entries.map(([key, value]) => `${before}${key}${after}:${before}${value}`);
        return `{${parts.join(`${after},`)}${before}}`;
      }),
  }));
}

function writeUnit(unit: string, way: number): string {
  const code = unit.charCodeAt(0);
  const long = `\\u${code.toString(16).padStart(4, "0")}`;
  const isRaw = code > 0x1f && unit !== '"' && unit !== "\\";
  if (way === 0 && isRaw) return unit;
  return way === 1 ? (SHORT_ESCAPES[unit] ?? long) : long;
}
