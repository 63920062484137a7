/**
 * `./dev build`: the product as one file, `dist/rendiff`, with its migrations, PGlite and the prebuilt empty database
 * inside. The new file replaces the old one by a rename, so that a running server keeps what it was started from.
 */
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { resolve } from "node:path";

const OUT = resolve("dist/rendiff");
const MAIN = resolve("src/main.ts");

/** Prints the path of the database template, after making it when it is missing. */
function makeTemplate(): string {
  const made = Bun.spawnSync([process.execPath, "scripts/make-pglite-template.ts", "dist"], { stderr: "inherit" });
  const path = made.stdout.toString().trim().split("\n").at(-1) ?? "";
  if (made.exitCode !== 0 || path === "") throw new Error("The template of the embedded database could not be made.");
  return path;
}

async function build(): Promise<void> {
  if (!(await Bun.file(MAIN).exists())) throw new Error("src/main.ts is not there.");
  await mkdir("dist", { recursive: true });
  const outfile = `${OUT}.${process.pid}`;
  try {
    const result = await Bun.build({
      entrypoints: [MAIN, makeTemplate()],
      // What the binary reads, it reads as documented: RENDIFF_ENV and our own .env rules, not Bun's.
      compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
      target: "bun",
      format: "esm",
      minify: true,
      bytecode: true,
      // What is imported when it is needed is loaded then: a start takes half as long.
      splitting: true,
      throw: false,
    });
    for (const log of result.logs) console.error(log);
    if (!result.success) throw new Error("The build failed.");
    await rename(outfile, OUT);
  } finally {
    await rm(outfile, { force: true });
  }
}

const started = performance.now();
await build();
const { size } = await stat(OUT);
const seconds = (performance.now() - started) / 1_000;
const version = Bun.spawnSync([OUT, "version"], { stdin: "ignore" });
if (version.exitCode !== 0) {
  console.error(`dist/rendiff version ended with ${version.exitCode}:\n${version.stderr.toString()}`);
  process.exit(1);
}
console.log(
  `dist/rendiff ${version.stdout.toString().trim()}, ${(size / 1e6).toFixed(0)} MB, in ${seconds.toFixed(1)} s`,
);
