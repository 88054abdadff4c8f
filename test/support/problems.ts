import assert from "node:assert/strict";
import { Problem } from "../../api/answer/problem.ts";

/** Asserts that the work throws a Problem of this status, whose sentence matches. */
export function assertThrowsProblem(work: () => unknown, status: number, detail: RegExp): void {
  assert.throws(work, (problem) => {
    assert.ok(problem instanceof Problem, String(problem));
    assert.equal(problem.status, status);
    assert.match(problem.message, detail);
    return true;
  });
}
