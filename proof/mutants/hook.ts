import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { applyMutant, type Change } from "./change.ts";

/** Loaded first into a test's process: one of its modules is then read with one change. */
const { url, ...change } = JSON.parse(process.env.MUTANT as string) as Change & { url: string };

registerHooks({
  load(loaded, context, nextLoad) {
    if (loaded !== url) return nextLoad(loaded, context);
    const source = applyMutant(readFileSync(fileURLToPath(loaded), "utf8"), change);
    return { format: "module-typescript", source, shortCircuit: true };
  },
});
