import assert from "node:assert/strict";
import { it } from "node:test";
import { getKeyHolder, hasRight, type Right } from "./caller.ts";

it("gives a right by the collection's own scope, by one for all, and by one that includes it", () => {
  const RIGHTS: Right[] = ["read", "write", "write-any", "operate"];
  // biome-ignore format: a row a line
  const cases: [scopes: string[], ofCourses: Right[], ofTeachers: Right[]][] = [
    [[], [], []],
    [["courses:read"], ["read"], []],
    [["courses:write"], ["write"], []],
    [["courses:write-any"], ["write", "write-any"], []],
    [["*:read", "courses:write"], ["read", "write"], ["read"]],
    [["*:write-any"], ["write", "write-any"], ["write", "write-any"]],
    [["operate"], ["operate"], ["operate"]],
    [["*:operate", "courses:operate", "read", "*", "courses"], [], []],
  ];
  for (const [scopes, ofCourses, ofTeachers] of cases) {
    const caller = { principal: "key:a", scopes: new Set(scopes) };
    for (const [collection, rights] of [
      ["courses", ofCourses],
      ["teachers", ofTeachers],
    ] as const)
      assert.deepEqual(
        RIGHTS.filter((right) => hasRight(caller, right, collection)),
        rights,
        `${scopes} of ${collection}`,
      );
  }
});

it("holds idempotency keys by an API key's name, a token's principal, or nobody's", () => {
  const scopes = new Set<string>();
  assert.equal(getKeyHolder(undefined), "");
  assert.equal(getKeyHolder({ principal: "key:ana", scopes }), "ana");
  for (const principal of ["local:ana", "local:key:ana"])
    assert.equal(getKeyHolder({ principal, scopes }), principal);
});
