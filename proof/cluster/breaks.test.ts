import { test } from "node:test";
import { BREAKS, breakText } from "./breaks.ts";

for (const [name, { means }] of Object.entries(BREAKS))
  test(`the code still has what this break replaces: ${means}`, () => {
    breakText(name);
  });
