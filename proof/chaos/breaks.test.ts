import { test } from "node:test";
import { BREAKS, breakText } from "./breaks.ts";

for (const [name, { means }] of Object.entries(BREAKS))
  test(`what chaos breaks is still there: ${means}`, () => {
    breakText(name);
  });
