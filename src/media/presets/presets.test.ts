import { describe, expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../../test/support/capabilities.ts";
import { checkOperations } from "../operations/check.ts";
import { parseOperations } from "../operations/parse.ts";
import { applyPreset, type Preset, parsePresetReference } from "./apply.ts";
import { BUILT_IN_PRESETS, builtInPreset } from "./built-in.ts";

const EXTENSIONS: Readonly<Record<string, string>> = { archive: "mkv", podcast: "mp3", gif: "gif", editing: "mov" };

const preset: Preset = {
  name: "test",
  version: 3,
  description: "",
  operations: [
    { type: "scale", height: 720 },
    { type: "transcode", video_codec: "h264", crf: 20, preset: "slow", audio_codec: "aac", audio_bitrate: "128k" },
  ],
  options: { faststart: true, format: "mp4" },
};

describe("built-in presets", () => {
  for (const { name, operations, options } of BUILT_IN_PRESETS) {
    test(`${name} is a spec that can be done`, () => {
      expect(parsePresetReference(name)).toEqual({ name, version: null });
      checkOperations({
        operations: parseOperations(operations),
        options,
        outputName: `out.${EXTENSIONS[name] ?? "mp4"}`,
        capabilities: sampleCapabilities(9),
        limits: sampleLimits,
      });
    });
  }

  test("names are unique", () => {
    expect(new Set(BUILT_IN_PRESETS.map(({ name }) => name)).size).toBe(BUILT_IN_PRESETS.length);
    expect(builtInPreset("nothing-like-it")).toBeNull();
  });
});

describe("applyPreset", () => {
  test("gives everything to a request that says nothing", () => {
    expect(applyPreset({ operations: [], options: {} }, preset)).toEqual({
      operations: preset.operations,
      options: preset.options,
    });
  });

  test("what the request says wins, field by field in a transcode", () => {
    const { operations } = applyPreset(
      { operations: [{ type: "transcode", params: { crf: 30 } }], options: {} },
      preset,
    );
    expect(operations[0]).toEqual({
      ...{ type: "transcode", video_codec: "h264", crf: 30, preset: "slow" },
      ...{ audio_codec: "aac", audio_bitrate: "128k" },
    });
  });

  test("another codec drops what was meant for the preset's", () => {
    const { operations } = applyPreset(
      { operations: [{ type: "transcode", video_codec: "vp9" }], options: {} },
      preset,
    );
    expect(operations[0]).toEqual({ type: "transcode", video_codec: "vp9", audio_codec: "aac", audio_bitrate: "128k" });
  });

  test("a bitrate drops the preset's quality", () => {
    const { operations } = applyPreset(
      { operations: [{ type: "transcode", video_bitrate: "1M" }], options: {} },
      preset,
    );
    expect(operations[0]).not.toHaveProperty("crf");
  });

  test("other operations come after the request's own, unless it has one of that type", () => {
    const types = (operations: readonly object[]) =>
      applyPreset({ operations: operations as { type: string }[], options: {} }, preset).operations.map(
        ({ type }) => type,
      );
    expect(types([{ type: "crop", width: 10 }])).toEqual(["crop", "scale", "transcode"]);
    expect(types([{ type: "scale", width: 10 }])).toEqual(["scale", "transcode"]);
  });

  test("options fill what is not given", () => {
    expect(applyPreset({ operations: [], options: { faststart: false } }, preset).options).toEqual({
      faststart: false,
      format: "mp4",
    });
  });

  test.each(["web@1", "web", "a-b@12"])("%s is a reference", (text) => {
    expect(parsePresetReference(text)).not.toBeNull();
  });
  test.each(["", "Web", "web@", "web@0", "web@x", "a/b"])("%p is none", (text) => {
    expect(parsePresetReference(text)).toBeNull();
  });
});
