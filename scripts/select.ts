/** Which files of which suites a run takes. */
import { SUITES, type Suite } from "./suites.ts";

export interface Selection {
  readonly suite: Suite;
  readonly files: readonly string[];
}

function filesOf(suite: Suite): string[] {
  return suite.files.flatMap((glob) => [...new Bun.Glob(glob).scanSync(".")]).sort();
}

/** A pattern is a suite's name or a part of a file's path; without patterns, what runs always. */
export function selectFiles(patterns: readonly string[], all: readonly Selection[]): Selection[] {
  if (patterns.length === 0) return all.filter(({ suite }) => suite.always);
  return all
    .map(({ suite, files }) => ({
      suite,
      files: patterns.includes(suite.name)
        ? files
        : files.filter((file) => patterns.some((pattern) => file.includes(pattern))),
    }))
    .filter(({ files }) => files.length > 0);
}

export const allFiles = (): Selection[] => SUITES.map((suite) => ({ suite, files: filesOf(suite) }));

/** Test files that no suite would ever run. */
export function strayFiles(all: readonly Selection[]): string[] {
  const known = new Set(all.flatMap(({ files }) => files));
  const roots = ["src", "actors", "plugins", "migrations", "scripts", "bench", "test"];
  return roots
    .flatMap((root) => [...new Bun.Glob(`${root}/**/*.{test,spec}.{ts,tsx,js}`).scanSync(".")])
    .filter((file) => !known.has(file));
}
