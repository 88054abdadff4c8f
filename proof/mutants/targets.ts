import { globSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");

/** Files without I/O, all of whose mutants are tried, with the unit tests that must notice them. */
export const PURE: Readonly<Record<string, readonly string[]>> = {
  "api/request/caller.ts": ["api/request/caller.test.ts"],
  "api/request/condition-headers.ts": ["api/request/condition-headers.test.ts"],
  "api/request/cursor.ts": ["api/request/cursor.test.ts"],
  "api/request/header-values.ts": [
    "api/request/header-values.test.ts",
    "api/request/parameters.test.ts",
  ],
  "api/request/http-date.ts": ["api/request/http-date.test.ts"],
  "api/request/json-array.ts": ["api/request/json-array.test.ts"],
  "api/request/memory-reservation.ts": ["api/request/memory-reservation.test.ts"],
  "api/request/parameters.ts": ["api/request/parameters.test.ts"],
  "common/batcher.ts": ["common/batcher.test.ts", "common/batcher-properties.test.ts"],
  "common/characters.ts": ["common/characters.test.ts"],
  "common/collection.ts": ["common/collection.test.ts", "common/item-check.test.ts"],
  "common/decimal.ts": ["common/decimal.test.ts"],
  "common/duration.ts": ["common/duration.test.ts"],
  "common/expiry-field.ts": ["common/collection.test.ts"],
  "common/fields.ts": ["common/collection.test.ts", "common/item-check.test.ts"],
  "common/item-check.ts": ["common/item-check.test.ts", "common/collection.test.ts"],
  "common/json.ts": ["common/json.test.ts"],
  "common/owner-field.ts": ["common/collection.test.ts"],
  "common/owner.ts": ["subscriber/decide-owner.test.ts"],
  "common/semaphore.ts": ["common/semaphore.test.ts"],
  "common/value-faults.ts": ["common/value-faults.test.ts", "common/item-check.test.ts"],
  "common/write-id.ts": ["common/write-id.test.ts"],
  "common/write.ts": ["common/write.test.ts"],
  "subscriber/decide.ts": [
    "subscriber/decide.test.ts",
    "subscriber/decide-owner.test.ts",
    "subscriber/expiry.test.ts",
  ],
  "subscriber/expiry.ts": ["subscriber/expiry.test.ts", "subscriber/expiry-properties.test.ts"],
  "subscriber/fold-writes.ts": [
    "subscriber/fold-writes.test.ts",
    "subscriber/expiry-properties.test.ts",
    "subscriber/settle-properties.test.ts",
  ],
  "subscriber/waiting-hold.ts": ["subscriber/waiting-hold.test.ts"],
};

/** The other sources of the processes, of whose lines a sample is tried. */
export function listImpureFiles(): string[] {
  return globSync("{api,common,subscriber}/**/*.ts", { cwd: ROOT })
    .filter((file) => !file.endsWith(".test.ts") && !Object.hasOwn(PURE, file))
    .sort();
}

/**
 * The test files that run this source in their own process, those that import it most directly
 * first. A test that only starts a program that contains it does not count.
 */
export function createTestFinder(): (file: string) => string[] {
  const tests = globSync("{api,common,subscriber,test}/**/*.test.ts", {
    cwd: ROOT,
    exclude: (path) => /(^|\/)(console|deploy|docs)$/.test(path),
  }).sort();
  const distances = new Map(tests.map((test) => [test, measureDistances(test)]));
  return (file) =>
    tests
      .map((test) => ({ test, distance: distances.get(test)?.get(file) ?? Infinity }))
      .filter(({ distance }) => distance < Infinity)
      .sort((one, other) => one.distance - other.distance)
      .map(({ test }) => test);
}

/** How many imports lead from the test to each file. */
function measureDistances(test: string): Map<string, number> {
  const distances = new Map([[test, 0]]);
  for (const [file, distance] of distances)
    for (const imported of readImports(file))
      if (!distances.has(imported)) distances.set(imported, distance + 1);
  return distances;
}

const IMPORT = /\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g;
const imports = new Map<string, string[]>();

function readImports(file: string): string[] {
  const known = imports.get(file);
  if (known) return known;
  const source = readFileSync(join(ROOT, file), "utf8");
  const found = [...source.matchAll(IMPORT)].map(([, path = ""]) =>
    posix.join(posix.dirname(file), path),
  );
  imports.set(file, found);
  return found;
}
