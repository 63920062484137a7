import { describe, expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../../test/support/capabilities.ts";
import { parseOperations } from "../operations/parse.ts";
import { SAMPLE_MEDIA } from "../presets/sample.ts";
import type { Plan } from "../types.ts";
import { estimable } from "./estimable.ts";

const of = (operations: readonly object[], outputName = "a.mp4") =>
  estimable({
    ...{ operations: parseOperations(operations), options: {}, outputName, threads: 2 },
    ...{ inputs: [{ file: "in/0", media: SAMPLE_MEDIA }], capabilities: sampleCapabilities(9), limits: sampleLimits },
  });
const argOf = ({ steps }: Plan, name: string) => {
  const args = steps.flatMap((step) => step.args);
  return args[args.indexOf(name) + 1];
};
const h264 = { type: "transcode", video_codec: "h264" };

describe("a part of a film", () => {
  test.each([
    ["asked for", [h264]],
    ["not asked for", [{ type: "flip" }]],
  ])("copies sound that the whole copies, and begins anywhere, where its codec is %s", (_, operations) => {
    const { whole, part, copies, gopSeconds } = of(operations);
    expect([argOf(whole, "-c:v:0"), argOf(whole, "-c:a:0"), copies, gopSeconds]).toEqual([
      "libx264",
      "copy",
      false,
      10,
    ]);
    const plan = part(20, 5);
    expect([argOf(plan, "-c:v:0"), argOf(plan, "-c:a:0")]).toEqual(["libx264", "copy"]);
    expect(Number(argOf(plan, "-ss"))).toBeWithin(10, 20.001);
    expect(plan.outputs[0]?.expect.durationSeconds).toBeCloseTo(5, 1);
  });

  test("encodes sound that the whole encodes", () => {
    const { whole, part } = of([{ ...h264, audio_bitrate: "96k" }]);
    for (const plan of [whole, part(20, 5)]) expect(argOf(plan, "-c:a:0")).toBe("aac");
  });

  test("of copied pictures is one from the beginning", () => {
    const { part, copies } = of([], "a.mkv");
    expect([copies, argOf(part(20, 5), "-c:v:0"), part(20, 5).steps[0]?.args.includes("-ss")]).toEqual([
      ...[true, "copy", false],
    ]);
  });
});
