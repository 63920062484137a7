/** What escape.ts writes, FFmpeg reads back as it was. */
import { describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { compile } from "../../src/media/compile.ts";
import { filter, printGraph } from "../../src/media/filtergraph.ts";
import { loadCase, loadMedia, makeInputs, requestOf, runPlan, verifyPlan } from "../golden/harness.ts";
import { testEnv } from "../support/env.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const SPECIAL = "\\':[],;=%@{}$\"`#|&*?<>()! \t\n-+/~^äß日本🎬".split(/(?:)/u);

/** FFmpeg cuts NUL off, and prints a line each: what it prints is parted by lines that no value can hold. */
const text = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...SPECIAL) },
      { weight: 1, arbitrary: fc.string({ maxLength: 3 }) },
    ),
    {
      minLength: 1,
      maxLength: 12,
    },
  )
  .map((parts) => parts.join("").replaceAll("\0", ""))
  .filter((value) => value !== "" && value.isWellFormed());

async function throughFilters(ffmpeg: string, values: readonly string[]): Promise<string> {
  const filters = values.map((value, n) => filter("metadata", { mode: "add", key: `k${n}`, value }));
  const print = filter("metadata", { mode: "print", file: "-" });
  const graph = printGraph({ chains: [{ inputs: ["0:0"], filters: [...filters, print], outputs: ["v"] }] });
  const args = [
    "-f",
    "lavfi",
    "-i",
    "color=s=16x16:d=0.04",
    "-filter_complex",
    graph,
    "-map",
    "[v]",
    "-f",
    "null",
    "-",
  ];
  const child = Bun.spawn([ffmpeg, "-nostdin", "-v", "error", ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${graph}\n${stderr}`);
  return stdout;
}

for (const major of [5, 9] as const) {
  describe(`FFmpeg ${major}`, () => {
    const ffmpeg = (): string => (major === 5 ? testEnv().ffmpeg : testEnv().ffmpeg9);

    test("reads every value of a filter as it was", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(text, { minLength: 20, maxLength: 40 }), async (values) => {
          const printed = await throughFilters(ffmpeg(), values);
          const wanted = values.map((value, n) => `k${n}=${value}\n`).join("");
          expect(printed.slice(printed.indexOf("k0="))).toBe(wanted);
        }),
        { numRuns: 20 },
      );
    }, 30_000);

    for (const name of ["h265-two-pass", "h264-two-pass", "thumbnails-many"]) {
      test(`${name} works in a folder with a name full of signs`, async () => {
        const one = await loadCase(name);
        const folder = join(await makeTempDir(), "a:b'c \\d,[e];100%=%%f");
        await mkdir(folder);
        const plan = compile(requestOf(one, await loadMedia(one), major));
        const ran = await runPlan(plan, await makeInputs(one), ffmpeg(), folder);
        expect(await verifyPlan(plan, ran)).toEqual([]);
      }, 30_000);
    }
  });
}
