import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle, NOWHERE } from "../build/bundle.ts";

/*
 * Milliseconds from the start of a process until it listens, unbuilt, bundled, and bundled with
 * what V8 compiled before. Nothing needs to run: neither process waits for MySQL or Pub/Sub.
 */
const ROUNDS = 11;
const ROOT = join(import.meta.dirname, "..");
const dist = await mkdtemp(join(tmpdir(), "bench-start-"));
const ENV = { ...NOWHERE, TMPDIR: dist };

await bundle(dist);
const variants = ["api", "subscriber"].flatMap((name) => {
  const bundled = join(dist, `${name}.js`);
  return [
    { name, how: "unbuilt .ts", args: [join(ROOT, name, "main.ts")] },
    { name, how: "bundle", args: [bundled] },
    {
      name,
      how: "bundle, compile cache",
      args: ["--import", join(dist, "compile-cache.js"), bundled],
    },
  ].map((variant) => ({ ...variant, ms: [] as number[] }));
});
for (let round = 0; round < ROUNDS; round += 1)
  for (const variant of variants) variant.ms.push(await startMs(variant.name, variant.args));
await rm(dist, { recursive: true });
console.table(
  variants.map(({ name, how, ms }) => {
    const sorted = ms.toSorted((one, other) => one - other).map(Math.round);
    return { name, how, median: sorted[ROUNDS >> 1], least: sorted[0], most: sorted.at(-1) };
  }),
);

async function startMs(name: string, args: string[]): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env: ENV, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += chunk;
    if (output.includes(`${name} started`)) break;
  }
  const ms = performance.now() - startedAt;
  child.kill("SIGKILL");
  await once(child, "exit");
  return ms;
}
