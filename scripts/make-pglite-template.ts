/**
 * Makes the template of the embedded database for the binary: `bun scripts/make-pglite-template.ts [folder]` writes
 * `<folder>/pglite-template-<version>.tar.zst` (default `dist`) unless it is there, and prints its path. `./dev build` names
 * that file to `bun build --compile` as one more entry point, which embeds it.
 */
import { join, resolve } from "node:path";
import { ensureTemplate, TEMPLATE_NAME } from "../src/database/pglite/template.ts";

const path = join(resolve(process.argv[2] ?? "dist"), TEMPLATE_NAME);
await ensureTemplate(path);
console.log(path);
