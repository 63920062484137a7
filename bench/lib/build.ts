/** Makes sure that dist/rendiff is what the sources say: figures of an older binary would be about something else. */
import { statSync } from "node:fs";
import { resolve } from "node:path";

const SOURCES = ["src", "actors", "plugins", "migrations"];
const BINARY = "dist/rendiff";

function isFresh(): boolean {
  const builtAt = statSync(BINARY, { throwIfNoEntry: false })?.mtimeMs;
  if (builtAt === undefined) return false;
  const files = SOURCES.flatMap((folder) =>
    [...new Bun.Glob("**/*").scanSync(folder)]
      .filter((file) => !file.endsWith(".test.ts"))
      .map((file) => `${folder}/${file}`),
  );
  return [...files, "bun.lock", "package.json"].every((file) => statSync(file).mtimeMs < builtAt);
}

export async function buildIfStale(): Promise<void> {
  if (isFresh()) return;
  const child = Bun.spawn([process.execPath, resolve("scripts/build.ts")], { stdio: ["ignore", "inherit", "inherit"] });
  if ((await child.exited) !== 0) throw new Error("dist/rendiff could not be built.");
}
