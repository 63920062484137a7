/** Captions appear in their time and nowhere else, in the style that was asked for, whatever they were written in. */
import { beforeAll, describe, expect, test } from "bun:test";
import { decodeText, readCaptions } from "../../src/ffmpeg/captions.ts";
import { testEnv } from "../support/env.ts";
import { makeClip } from "../support/media.ts";
import { probe, writeText } from "./harness.ts";
import { convert, type Frame, framesOf, type Rgb, spread } from "./pixels.ts";

const WIDTH = 160;
const HEIGHT = 120;
const film = { video: { width: WIDTH, height: HEIGHT, source: "color=gray" } };
const SRT = "1\n00:00:00,200 --> 00:00:00,600\nHHHHH\n";
const ASS = `[Script Info]
PlayResX: 160
PlayResY: 120
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,sans,20,&H00FFFFFF,8
[Events]
Format: Layer, Start, End, Style, Text
Dialogue: 0,0:00:00.20,0:00:00.60,Default,HHHHH
`;

type Test = (rgb: Rgb) => boolean;
const white: Test = ([r, g, b]) => r > 200 && g > 200 && b > 200;
const red: Test = ([r, g, b]) => r > 170 && g < 90 && b < 90;
const bluish: Test = ([r, g, b]) => b - Math.max(r, g) > 30;
const blue: Test = ([r, g, b]) => b > 170 && r < 90 && g < 90;

const shown = (frames: readonly Frame[], is = white) => frames.map((frame) => spread(frame, is).count > 4);
const between = (length: number, from: number, until: number) =>
  Array.from({ length }, (_, n) => n >= from && n < until);

for (const major of [5, 9] as const) {
  describe(`on FFmpeg ${major}`, () => {
    let clip = "";
    beforeAll(async () => {
      clip = await makeClip(film);
    });
    const made = async (text: string | Uint8Array, operations: unknown[], output = "film.mp4") =>
      convert({ inputs: [clip, await writeText(text)], output, operations, major });
    const burned = async (text: string, parameters: Record<string, unknown> = {}, ...more: unknown[]) => {
      const { paths } = await made(text, [{ type: "subtitle", path: "x", ...parameters }, ...more]);
      return Promise.all(paths.map(framesOf));
    };

    test("burned in their time, at the bottom, also after a trim and in a thumbnail", async () => {
      const large = { style: { font_size: 15 } };
      const [frames = []] = await burned(SRT, large);
      expect(shown(frames)).toEqual(between(25, 5, 15));
      expect(spread(frames[8], white).top).toBeGreaterThan(HEIGHT / 2);
      const [cut = []] = await burned(SRT, large, { type: "trim", start: 0.4 });
      expect(shown(cut)).toEqual(between(15, 0, 5));
      const thumbnails = [0.1, 0.4].map((time, n) => ({ type: "thumbnail", time, output: `${n}.png` }));
      const [, before = [], during = []] = await burned(SRT, large, ...thumbnails);
      expect([...shown(before), ...shown(during)]).toEqual([false, true]);
    });

    test("every word of a style", async () => {
      const style = { font_size: 20, color: "red", box_color: "blue", position: "top", margin: 0, bold: true };
      const [frames = []] = await burned(SRT, { style });
      const plain = (await burned(SRT, { style: { ...style, bold: false } }))[0] ?? [];
      const text = spread(frames[8], red);
      expect(text.count).toBeGreaterThan(spread(plain[8], red).count);
      expect(text.top).toBeLessThan(HEIGHT / 3);
      expect(spread(frames[8], blue).count).toBeGreaterThan(100);
      const small = (await burned(SRT, { style: { ...style, font_size: 8 } }))[0] ?? [];
      expect(spread(small[8], red).count).toBeLessThan(text.count / 2);
      const lower = (await burned(SRT, { style: { ...style, margin: 30 } }))[0] ?? [];
      expect(spread(lower[8], red).top).toBeGreaterThan(text.top + 15);
      const outlined = (await burned(SRT, { style: { color: "red", outline_color: "blue", font_size: 20 } }))[0] ?? [];
      expect(spread(outlined[8], bluish).count).toBeGreaterThan(20);
      const slanted = (await burned(SRT, { style: { ...style, italic: true } }))[0] ?? [];
      expect(spread(slanted[8], red)).not.toEqual(text);
    });

    test("a script keeps its own style, but for what is asked for", async () => {
      const [own = []] = await burned(ASS);
      expect(shown(own)).toEqual(between(25, 5, 15));
      expect(spread(own[8], white).top).toBeLessThan(HEIGHT / 2);
      const [asked = []] = await burned(ASS, { style: { color: "red" } });
      expect(spread(asked[8], red).count).toBeGreaterThan(20);
      expect(spread(asked[8], red).top).toBeLessThan(HEIGHT / 2);
    });

    for (const [container, codec] of Object.entries({
      mp4: "mov_text",
      mov: "mov_text",
      mkv: "subrip",
      webm: "webvtt",
    })) {
      test(`embedded in ${container} as ${codec}, with its language`, async () => {
        const operations = [
          { type: "subtitle", path: "x", mode: "embed", language: "fr" },
          { type: "trim", start: 0.12 },
        ];
        const { paths } = await made(SRT, operations, `film.${container}`);
        const path = paths[0] ?? "";
        const track = (await probe(path)).streams.find(({ kind }) => kind === "subtitle");
        expect([track?.codec, track?.language]).toEqual([codec, "fra"]);
        const child = Bun.spawn([testEnv().ffmpeg, "-v", "error", "-i", path, "-map", "0:s:0", "-f", "srt", "-"], {
          stderr: "inherit",
        });
        const text = await new Response(child.stdout).text();
        expect(text).toContain("00:00:00,080 --> 00:00:00,480");
        expect(text).toContain("HHHHH");
      });
    }
  });
}

test("what a container cannot hold is refused", async () => {
  const operations = [{ type: "subtitle", path: "x", mode: "embed" }];
  const inputs = [await makeClip(film), await writeText(SRT)];
  expect(convert({ inputs, output: "film.ts", operations, major: 5 })).rejects.toMatchObject({ kind: "plan.invalid" });
});

describe("character sets", () => {
  const russian = "1\n00:00:01,000 --> 00:00:02,000\nПривет, как дела? Это обычная строка субтитров.\n".repeat(3);
  const cp1251 = (text: string) =>
    Uint8Array.from([...text], (one) => {
      const code = one.codePointAt(0) ?? 0;
      return code >= 0x410 && code <= 0x44f ? code - 0x410 + 0xc0 : code;
    });
  const latin = "1\n00:00:01,000 --> 00:00:02,000\nÇa va très bien, à bientôt là-bas, élève.\n".repeat(3);
  const wide = (text: string, mark: boolean) => {
    const bytes = Buffer.from(`${mark ? "\uFEFF" : ""}${text}`, "utf16le");
    return Uint8Array.from(bytes);
  };
  for (const [name, bytes, text] of [
    ["UTF-8", new TextEncoder().encode(russian), russian],
    ["UTF-8 with a mark", new TextEncoder().encode(`\uFEFF${russian}`), russian],
    ["UTF-16 with a mark", wide(russian, true), russian],
    ["UTF-16 big-endian with a mark", wide(russian, true).map((_, n, all) => all[n ^ 1] ?? 0), russian],
    ["UTF-16 without a mark", wide(latin, false), latin],
    ["Windows-1251", cp1251(russian), russian],
    ["Latin-1", Uint8Array.from(Buffer.from(latin, "latin1")), latin],
  ] as const) {
    test(name, async () => {
      expect(decodeText(bytes)).toBe(text);
      expect((await readCaptions(await writeText(bytes))).cues).toHaveLength(3);
    });
  }
});
