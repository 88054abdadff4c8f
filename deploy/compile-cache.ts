import { cpSync, mkdtempSync } from "node:fs";
import { enableCompileCache, getCompileCacheDir } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

/*
 * Loaded before a bundled process (`node --import`): gives it what V8 compiled when the bundle was
 * built. NODE_COMPILE_CACHE alone would not do: where the bundle lies nothing can be written, and
 * Node looks in a folder named after its flags, the processor and the user, which differ between
 * the machine that builds and the one that runs. So the files are copied to where Node looks, in
 * /tmp, a megabyte of memory. V8 itself refuses what does not fit, and compiles as without.
 */
try {
  enableCompileCache(mkdtempSync(join(tmpdir(), "compile-cache-")));
  const folder = getCompileCacheDir();
  if (folder) cpSync(join(import.meta.dirname, "compile-cache"), folder, { recursive: true });
} catch {
  // A start without it is slower, and that is all.
}
