import { cpSync, mkdtempSync } from "node:fs";
import { enableCompileCache, getCompileCacheDir } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

/*
 * Loaded before a bundled process (`node --import`): enables the compile cache that was written when
 * the bundle was built. NODE_COMPILE_CACHE alone does not work: the bundle's folder is read-only,
 * and Node looks in a folder named after its flags, the processor and the user, which differ between
 * build and run. So the files are copied to where Node looks, in /tmp, which takes a megabyte of
 * memory. V8 rejects a cache that does not match, and compiles.
 */
try {
  enableCompileCache(mkdtempSync(join(tmpdir(), "compile-cache-")));
  const folder = getCompileCacheDir();
  if (folder) cpSync(join(import.meta.dirname, "compile-cache"), folder, { recursive: true });
} catch {
  // Without the cache the start is slower.
}
