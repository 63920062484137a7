/**
 * Text of users in filters, through real FFmpeg: whatever they write is drawn and nothing else happens. The canary is a pipe
 * that nobody writes to, so that a program that opens it for reading never ends.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { convert, framesOf } from "../golden/pixels.ts";
import { testEnv } from "../support/env.ts";
import { makeClip } from "../support/media.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const RUNS = testEnv().long ? 200 : 8;

async function makeCanary(): Promise<string> {
  const path = join(await makeTempDir(), "canary");
  const made = Bun.spawnSync(["mkfifo", path]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  return path;
}

const hostile = (canary: string) =>
  fc
    .array(
      fc.constantFrom(
        ...[
          "'",
          '"',
          ":",
          ",",
          ";",
          "[",
          "]",
          "\\",
          "\\\\",
          "\n",
          "=",
          "%",
          "%%",
          "%{n}",
          "%{pts}",
          "{",
          "}",
          "|",
          "$",
        ],
        ...[`textfile=${canary}`, `:textfile=${canary}`, `',movie=${canary}[a];[a]`, `[out];movie=${canary}`, "%{e:1}"],
        ...[
          `%{metadata:a}`,
          `:reload=1:textfile='${canary}'`,
          "\\N{\\pos(0,0)}",
          "file:",
          "-i",
          "word",
          "É",
          "ж",
          "🎬",
        ],
      ),
      { minLength: 1, maxLength: 12 },
    )
    // Pictographs are refused before anything is planned.
    .map((parts) => `qzx${parts.filter((part) => part !== "🎬").join("")}`);

for (const major of [5, 9] as const) {
  describe(`on FFmpeg ${major}`, () => {
    test("a text is drawn as it is", async () => {
      const canary = await makeCanary();
      const input = await makeClip({ durationSeconds: 0.2, video: { source: "color=black" } });
      await fc.assert(
        fc.asyncProperty(hostile(canary), async (text) => {
          const operations = [{ type: "text", text, position: "center", font_size: 8 }];
          const { plan, paths } = await convert({ inputs: [input], output: "film.mp4", operations, major });
          const args = JSON.stringify(plan.steps);
          expect(args).not.toContain(canary);
          expect(args).not.toContain(JSON.stringify(text).slice(1, -1));
          expect(plan.files[0]).toEqual({ file: "text/0.txt", text: text.normalize("NFC") });
          const frames = await framesOf(paths[0] ?? "");
          const lit = frames.map((frame) => frame.mean(0, 0, frame.width, frame.height)[0]);
          expect(Math.min(...lit)).toBeGreaterThan(0.1);
          expect(Math.max(...lit) - Math.min(...lit)).toBeLessThan(2);
        }),
        { numRuns: RUNS },
      );
    }, 60_000);
  });
}
