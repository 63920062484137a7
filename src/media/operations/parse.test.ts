import { describe, expect, test } from "bun:test";
import { RendiffError } from "../../errors.ts";
import { type Operation, parseOperations, tryParseOperations } from "./parse.ts";

const one = (value: unknown): Operation | undefined => parseOperations([value])[0];

function refusal(...input: unknown[]) {
  const parsed = tryParseOperations(input);
  if (parsed.ok) throw new Error("It was not refused.");
  return parsed;
}

describe("parseOperations", () => {
  test("takes parameters beside type and under params alike", () => {
    const beside = one({ type: "trim", start: "00:01:02.500", duration: 3 });
    expect(beside).toEqual({ type: "trim", start: 62.5, duration: 3, mode: "exact" });
    expect(one({ type: "trim", params: { start: 62.5 }, duration: "3" })).toEqual(beside);
  });

  test("looks for no more mistakes than it shows, however many there are", () => {
    const unknown = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`f${index}`, 1]));
    const many = Array.from({ length: 1_000 }, () => ({ type: "trim", start: 1, ...unknown }));
    expect(refusal(...many).details).toHaveLength(20);
    expect(refusal(...Array.from({ length: 1_000 }, () => ({ type: "nonsense" }))).details).toHaveLength(20);
  });

  test("names the place under params where the mistake is", () => {
    expect(refusal({ type: "transcode", params: { crf: "low" } }).details).toEqual([
      { path: "operations[0].params.crf", message: "must be a number" },
    ]);
  });

  test("refuses what is given twice", () => {
    expect(refusal({ type: "flip", direction: "both", params: { direction: "both" } }).details[0]?.path).toBe(
      "operations[0].params.direction",
    );
  });

  test("names the nearest field and the nearest operation", () => {
    const { details } = refusal({ type: "transcode", video_codek: "h264" }, { type: "transcod" });
    expect(details[0]).toEqual({
      path: "operations[0].video_codek",
      message: 'there is no field "video_codek" here; did you mean video_codec?',
    });
    expect(details[1]?.message).toContain("did you mean transcode?");
  });

  test("hevc is h265, rates and bitrates become numbers", () => {
    expect(
      one({
        type: "transcode",
        video_codec: "hevc",
        video_bitrate: "2.5M",
        audio_bitrate: "96k",
        fps: 29.97,
        preset: 8,
      }),
    ).toEqual({
      type: "transcode",
      video_codec: "h265",
      video_bitrate: 2_500_000,
      audio_bitrate: 96_000,
      fps: { num: 30_000, den: 1_001 },
      preset: "8",
    });
  });

  test("volume is a factor whatever it was", () => {
    const volume = (value: unknown) => (one({ type: "audio", volume: value }) as { volume: number }).volume;
    expect(volume(0.5)).toBe(0.5);
    expect(volume("2")).toBe(2);
    expect(volume("-6dB")).toBeCloseTo(0.5012, 3);
    expect(volume("+6 dB")).toBeCloseTo(1.9953, 3);
  });

  const invalid: readonly (readonly [string, unknown, string])[] = [
    ["a time with 61 minutes", { type: "trim", start: "00:61:00" }, "start"],
    ["a negative time", { type: "trim", start: -1 }, "start"],
    ["not a time", { type: "trim", start: "1e3" }, "start"],
    ["an end before the start", { type: "trim", start: 5, end: 5 }, "end"],
    ["an end and a duration", { type: "trim", start: 5, end: 6, duration: 1 }, "end"],
    ["a trim of nothing", { type: "trim" }, "start"],
    ["no number at all", { type: "transcode", crf: Number.NaN }, "crf"],
    ["a bitrate in words", { type: "transcode", video_bitrate: "2 Mbit" }, "video_bitrate"],
    ["half a pixel", { type: "scale", width: 10.5 }, "width"],
    ["a scale to nothing", { type: "scale", width: "auto", height: "auto" }, "width"],
    ["a fill with one side", { type: "scale", width: 10, mode: "fill" }, "mode"],
    ["an angle between", { type: "rotate", angle: 45 }, "angle"],
    ["a colour with a graph in it", { type: "pad", width: 9, color: "red:x=1" }, "color"],
    ["a folder in a name", { type: "thumbnail", output: "../x.jpg" }, "output"],
    ["a hidden name", { type: "thumbnail", output: ".x.jpg" }, "output"],
    ["a newline in a name", { type: "thumbnail", output: "a\nb.jpg" }, "output"],
    ["a count for one", { type: "thumbnail", count: 3 }, "mode"],
    ["an output without an extract", { type: "audio", output: "x.mp3" }, "output"],
    ["loud silence", { type: "audio", remove: true, volume: 2 }, "remove"],
    ["a preset with a space", { type: "transcode", preset: "fast -vf x" }, "preset"],
  ];
  for (const [what, operation, field] of invalid) {
    test(`${what} is refused`, () => {
      const { kind, details } = refusal(operation);
      expect(kind).toBe("request.invalid");
      expect(details.map(({ path }) => path)).toContain(`operations[0].${field}`);
    });
  }

  test("what is no operation is refused", () => {
    expect(refusal(null, "x", [], {}).details.map(({ path }) => path)).toEqual([
      "operations[0]",
      "operations[1]",
      "operations[2]",
      "operations[3].type",
    ]);
  });

  test("throws with all details", () => {
    const attempt = (): unknown => parseOperations([{ type: "trim" }, { type: "rotate" }]);
    expect(attempt).toThrow(RendiffError);
  });
});
