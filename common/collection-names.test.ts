import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineCollection, text } from "./collection.ts";
import { assertDistinctNames } from "./readiness.ts";

const define = (name: string) =>
  defineCollection({ name, fields: { title: text({ max: 50 }) }, example: { title: "x" } });

describe("the name of a collection", () => {
  it("is none of a table or a route of our own, nor one that every object has", () => {
    for (const name of [
      "writes",
      "migrations",
      "receipts",
      "changes",
      "feeds",
      "waiting",
      "announcements",
      "constructor",
      "toString",
      "hasOwnProperty",
    ])
      assert.throws(() => define(name), /is reserved/, name);
    for (const name of ["", "Orders", "dead_letters", "a-b", "__proto__", "x".repeat(49)])
      assert.throws(() => define(name), /of the form/, name);
  });

  it("may be a word that SQL reserves, or that the OpenAPI document uses", () => {
    for (const name of ["order", "group", "select", "results", "problem", "item", "x".repeat(48)])
      assert.equal(define(name).name, name);
  });

  it("is of one collection only, in any case", () => {
    assertDistinctNames([define("orders"), define("order")]);
    for (const other of ["orders", "oRDERS"])
      assert.throws(
        () => assertDistinctNames([define("orders"), define(other)]),
        /two collections/,
      );
  });
});
