/** `bun scripts/generate.ts [--check]`: writes the generated files, or says which are out of date. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { GENERATORS } from "./generators.ts";

const check = process.argv.includes("--check");
let stale = 0;

for (const { path, make } of GENERATORS) {
  const wanted = await make();
  const file = Bun.file(path);
  if ((await file.exists()) && (await file.text()) === wanted) continue;
  stale += 1;
  if (check) {
    console.error(`${path} is out of date: bun scripts/generate.ts writes it.`);
  } else {
    await mkdir(dirname(path), { recursive: true });
    await Bun.write(path, wanted);
    console.log(`wrote ${path}`);
  }
}

process.exitCode = check && stale > 0 ? 1 : 0;
