import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { applyMutant } from "./change.ts";
import { listMutants } from "./mutate.ts";
import { findReason, readSurvivors } from "./survivors.ts";
import { PURE, ROOT } from "./targets.ts";

const list = (source: string) => listMutants(source).map((mutant) => applyMutant(source, mutant));

describe("the mutants of a source", () => {
  const cases: [what: string, source: string, mutants: string[]][] = [
    ["a comparison", "x(a < b);", ["{}", "x(a <= b);"]],
    ["an equality", "const y = a === b;", ["const y = a !== b;"]],
    [
      "an operator between brackets",
      "const y = (a) /* + */ + (b);",
      ["const y = (a) /* + */ - (b);"],
    ],
    ["a sum of texts", 'const y = a + "b";', ['const y = a + "";']],
    ["logic", "const y = a && b;", ["const y = a || b;"]],
    ["a fallback", "const y = a ?? b;", ["const y = a && b;"]],
    ["a negation", "const y = !a;", ["const y = a;"]],
    ["a condition", "if (a) b();", ["if (true) b();", "if (false) b();", "if (a) {}"]],
    ["a choice", "const y = a ? b : c;", ["const y = true ? b : c;", "const y = false ? b : c;"]],
    ["a loop", "while (a) b();", ["while (false) b();", "while (a) {}"]],
    ["a count", "const y = a++;", ["const y = a--;"]],
    ["a number", "const y = 1_000;", ["const y = 1001;"]],
    ["a text", 'const y = "a";', ['const y = "";']],
    ["an empty text", 'const y = "";', ['const y = "mutated";']],
    ["a template", "const y = `a ${b}`;", ["const y = ``;"]],
    ["a flag", "const y = true;", ["const y = false;"]],
    ["a list", "const y = [a];", ["const y = [];"]],
    ["a pattern", "const y = /^a$/i;", ["const y = /a$/i;", "const y = /^a/i;"]],
    ["a method", "const y = Math.min(a);", ["const y = Math.max(a);"]],
  ];
  for (const [what, source, mutants] of cases)
    it(`change ${what}`, () => assert.deepEqual(list(source), mutants));

  it("leave types, imports and the names of keys as they are", () => {
    for (const source of [
      'import { a } from "b";',
      'export * from "b";',
      'type A = "b" | 1;',
      'const y = a as "b";',
      'const y = { "a-b": c };',
      'export function a(b: "c"[], d?: 1): asserts b {}',
    ])
      assert.deepEqual(list(source), [], source);
  });

  it("are named by their line, before and after", () => {
    const [mutant] = listMutants("const a: string = b;\n\n  const c = d > e; // f\n");
    assert.equal(mutant?.lineNumber, 3);
    assert.equal(mutant?.lineText, "const c = d > e; // f");
    assert.equal(mutant?.becomes, "const c = d >= e; // f");
    const [removed] = listMutants("a(\n  b,\n);\n");
    assert.deepEqual([removed?.lineText, removed?.becomes], ["a(", "{}"]);
  });
});

it("a survivor is accepted by its file, its line and its change", () => {
  const one = { file: "a.ts", lineText: "x(a > b);", becomes: "x(a >= b);" };
  const { file, lineText: line, becomes } = one;
  const accepted = [{ file, line, becomes: [becomes], reason: "They are never equal." }];
  assert.equal(findReason(accepted, one), "They are never equal.");
  assert.equal(findReason(accepted, { ...one, becomes: "{}" }), undefined);
  assert.equal(findReason(accepted, { ...one, file: "b.ts" }), undefined);
});

it("the list of survivors names mutants of the present code, and each once", () => {
  const listed = readSurvivors().flatMap(({ file, line, becomes }) =>
    becomes.map((change) => [file, line, change].join("\n")),
  );
  const there = new Set(
    Object.keys(PURE).flatMap((file) =>
      listMutants(readFileSync(join(ROOT, file), "utf8")).map(({ lineText, becomes }) =>
        [file, lineText, becomes].join("\n"),
      ),
    ),
  );
  assert.deepEqual(
    listed.filter((one, index) => !there.has(one) || listed.indexOf(one) < index),
    [],
  );
});
