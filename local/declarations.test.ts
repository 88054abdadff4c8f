import assert from "node:assert/strict";
import { test } from "node:test";
import { defineCollection, text } from "../common/collection.ts";
import { checkDeclarations } from "./declarations.ts";

const declare = (name: string) =>
  defineCollection({ name, fields: { title: text({ max: 9 }) }, example: { title: "x" } });
const check = async (...names: string[]) => {
  const lines: string[] = [];
  await checkDeclarations(
    (line) => lines.push(line),
    async () => ({ collections: names.map(declare) }),
  );
  return lines;
};

test("a start says in a sentence which declaration is refused", async () => {
  await assert.rejects(check("Cats"), ({ message, stack }: Error) => {
    assert.match(message, /^Collection "Cats": the name must be of the form [^\n]+\.$/);
    return stack !== undefined;
  });
});

test("a start says where an error of a collection's file is", async () => {
  const load = async () => {
    throw new TypeError("x is not a function");
  };
  await assert.rejects(
    checkDeclarations(() => {}, load),
    { message: /^TypeError: x is not a function\n.*declarations\.test\.ts:\d+/ },
  );
});

test("a start says which collections collections/schemas.json does not know", async () => {
  assert.deepEqual(await check("cats", "dogs"), [
    "collections/schemas.json is older than the declarations of cats, dogs; before you commit them," +
      " run npm run ops -- schemas",
  ]);
  const lines: string[] = [];
  await checkDeclarations((line) => lines.push(line));
  assert.deepEqual(lines, []);
});
