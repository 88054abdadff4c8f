import assert from "node:assert/strict";
import { test } from "node:test";
import { changeText } from "../support/bundle-copy.ts";
import { DECLARE_FEED } from "../support/feed.ts";
import { DECLARE_HOLDS } from "../support/holds.ts";
import { DECLARE_OWNER } from "../support/owned.ts";
import { BREAKS } from "./breaks.ts";

for (const broken of Object.values(BREAKS))
  test(`the code still has what this break replaces: ${broken.means}`, () => {
    changeText(broken);
  });

test("the declaration of data still has the place where its owner is declared", () => {
  assert.match(changeText(DECLARE_OWNER), /name: "data",\n +owner: "user",/);
});

test("the declarations still have the place where that of the berths is added", () => {
  assert.match(changeText(DECLARE_HOLDS), /\[data, berths\]/);
});

test("the declaration of data still has the place where its feed is declared", () => {
  assert.match(changeText(DECLARE_FEED), /name: "data",\n +feed: true,/);
});
