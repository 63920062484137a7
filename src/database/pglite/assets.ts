/**
 * PGlite's three files, imported as files so that `bun build --compile` puts them into the binary. Given to PGlite
 * explicitly, because it would look for them next to its own source, which a binary does not have.
 */

import initdbWasmPath from "@electric-sql/pglite/initdb.wasm" with { type: "file" };
import fsBundlePath from "@electric-sql/pglite/pglite.data" with { type: "file" };
import pgliteWasmPath from "@electric-sql/pglite/pglite.wasm" with { type: "file" };

export interface PgliteAssets {
  readonly pgliteWasmModule: WebAssembly.Module;
  readonly fsBundle: Blob;
}

export async function loadAssets(): Promise<PgliteAssets> {
  return {
    pgliteWasmModule: await WebAssembly.compile(await Bun.file(pgliteWasmPath).arrayBuffer()),
    fsBundle: Bun.file(fsBundlePath),
  };
}

/** Needed only where a database is made without a template. */
export async function loadInitdb(): Promise<{ readonly initdbWasmModule: WebAssembly.Module }> {
  return { initdbWasmModule: await WebAssembly.compile(await Bun.file(initdbWasmPath).arrayBuffer()) };
}
