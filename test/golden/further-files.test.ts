/** Sprites, previews and waveforms by what is in them. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { probe } from "./harness.ts";
import { brightness, difference, type Frame, framesOf, type Major, make } from "./looks.ts";

const VERSIONS: readonly Major[] = [5, 9];

/** A part of a frame as a frame. */
function part({ width, pixels }: Frame, x: number, y: number, w: number, h: number): Frame {
  const rows = Array.from({ length: h }, (_, row) =>
    pixels.subarray(((y + row) * width + x) * 3, ((y + row) * width + x + w) * 3),
  );
  return { width: w, height: h, pixels: Buffer.concat(rows) };
}

interface Cue {
  readonly from: number;
  readonly until: number;
  readonly file: string;
  readonly at: readonly [number, number, number, number];
}

const toSeconds = (text: string): number => text.split(":").reduce((sum, one) => sum * 60 + Number(one), 0);

const cuesOf = (map: string): Cue[] =>
  [...map.matchAll(/(\S+) --> (\S+)\n(.+)#xywh=(\d+),(\d+),(\d+),(\d+)\n/g)].map(
    ([, from = "", until = "", file = "", ...at]) => ({
      from: toSeconds(from),
      until: toSeconds(until),
      file,
      at: at.map(Number) as unknown as Cue["at"],
    }),
  );

for (const major of VERSIONS) {
  test(`each tile of a sprite is what the map says, on FFmpeg ${major}`, async () => {
    const clip = { durationSeconds: 4, video: { width: 128, height: 96 } };
    const operations = [{ type: "thumbnail", mode: "sprite", interval: 0.5, cols: 3, width: 64, format: "png" }];
    const { files, plan, workDir, problems } = await make({ clip, output: "sheet.png", operations, major });
    expect(problems).toEqual([]);
    expect(plan.outputs.map(({ role, name }) => [role, name])).toEqual([
      ["thumbnail", null],
      ["map", "sheet.vtt"],
    ]);
    const map = await Bun.file(join(workDir, plan.outputs[1]?.file ?? "")).text();
    const cues = cuesOf(map);
    expect(map.startsWith("WEBVTT\n\n")).toBe(true);
    expect(cues.length).toBe(8);
    const [sheet] = await framesOf(files[0] ?? "");
    if (sheet === undefined) throw new Error("no sprite");
    expect([sheet.width, sheet.height]).toEqual([192, 144]);
    const small = await make({
      clip,
      operations: [
        { type: "scale", width: 64 },
        { type: "transcode", video_codec: "h264", crf: 0 },
      ],
    });
    const frames = await framesOf(small.files[0] ?? "");
    for (const { from, until, at, file } of cues) {
      expect(file).toBe("sheet.png");
      const tile = part(sheet, ...at);
      const distances = frames.map((frame) => difference(tile, frame));
      const shown = distances.indexOf(Math.min(...distances)) / 25;
      expect(shown).toBeGreaterThanOrEqual(from - 0.02);
      expect(shown).toBeLessThan(until);
    }
    expect(cues.map(({ from }) => from)).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]);
    // The ninth place has nothing.
    expect(brightness(part(sheet, 128, 96, 64, 48))).toBeLessThan(3);
  });

  test(`a preview has its own part, size, rate and no sound, on FFmpeg ${major}`, async () => {
    const clip = { durationSeconds: 3, video: { width: 96, height: 64 }, audio: {} };
    const operations = [
      { type: "preview", start: 1, duration: 1.5, width: 48, fps: 8, format: "mp4" },
      { type: "flip" },
    ];
    const { files, plan, problems } = await make({ clip, operations, major });
    expect(problems).toEqual([]);
    expect(plan.outputs.map(({ role, name }) => [role, name])).toEqual([
      ["primary", null],
      ["preview", "out-preview-1.mp4"],
    ]);
    const media = await probe(files[1] ?? "");
    expect(media.streams).toMatchObject([{ kind: "video", width: 48, height: 32, averageFps: 8 }]);
    const frames = await framesOf(files[1] ?? "");
    expect(frames.length).toBe(12);
    const whole = await make({
      clip,
      operations: [
        { type: "scale", width: 48 },
        { type: "transcode", video_codec: "h264", crf: 1 },
      ],
    });
    const [first] = frames;
    if (first === undefined) throw new Error("no preview");
    const distances = (await framesOf(whole.files[0] ?? "")).map((frame) => difference(first, frame));
    expect(Math.abs(distances.indexOf(Math.min(...distances)) - 25)).toBeLessThanOrEqual(2);
  });

  test(`a waveform is drawn in its colour where the sound is, on FFmpeg ${major}`, async () => {
    const clip = { durationSeconds: 2, container: "wav", audio: {}, video: null };
    const operations = [
      { type: "filter", name: "fade_out", duration: 1.5 },
      { type: "waveform", width: 100, height: 40, color: "#00ff00" },
    ];
    const { files, problems } = await make({ clip, output: "wave.png", operations, major });
    expect(problems).toEqual([]);
    const [picture] = await framesOf(files[0] ?? "");
    if (picture === undefined) throw new Error("no picture");
    const greens = (x: number): number =>
      Array.from({ length: 40 }, (_, row) => picture.pixels[(row * 100 + x) * 3 + 1] ?? 0).filter(
        (green) => green > 100,
      ).length;
    expect(greens(10)).toBeGreaterThan(greens(90) + 1);
    expect(picture.pixels.filter((_, n) => n % 3 === 0).every((red) => red < 10)).toBe(true);
  });
}

describe("numbers of a waveform", () => {
  test("are the sound's, after what was done to it", async () => {
    const clip = { durationSeconds: 2, container: "wav", audio: {}, video: null };
    const peaks = async (volume: number): Promise<number[][]> => {
      const operations = [
        { type: "audio", volume },
        { type: "waveform", width: 20 },
      ];
      const { files, problems } = await make({ clip, output: "wave.json", operations: [...operations] });
      expect(problems).toEqual([]);
      const json = (await Bun.file(files[0] ?? "").json()) as { peaks: number[][]; duration_seconds: number };
      expect(json.duration_seconds).toBeCloseTo(2, 1);
      return json.peaks;
    };
    const [loud, soft] = [await peaks(1), await peaks(0.5)];
    expect(loud.length).toBe(20);
    const height = (all: number[][]): number => Math.max(...all.map(([low = 0, high = 0]) => high - low));
    expect(height(soft) / height(loud)).toBeCloseTo(0.5, 1);
    expect(height(loud)).toBeGreaterThan(0.1);
  });
});
