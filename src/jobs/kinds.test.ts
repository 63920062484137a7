import { describe, expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import type { Capabilities } from "../media/types.ts";
import type { ConvertSpec } from "./convert.schema.ts";
import { whyUnserved } from "./fleet.ts";
import { type Kind, kindOf, unfitKinds } from "./kinds.ts";

const plain = sampleCapabilities(9);
const withCard: Capabilities = {
  ...plain,
  encoders: { ...plain.encoders, h264_nvenc: { ok: true } },
  accelerators: { nvenc: { ok: true } },
};
const { libx265: _, ...others } = plain.encoders;
const withoutH265: Capabilities = {
  ...plain,
  encoders: { ...others, libx265: { ok: false, reason: "it was built without" } },
};
const kinds: readonly Kind[] = [plain, withCard, withoutH265].map((capabilities) => ({
  ...{ name: kindOf(capabilities), capabilities },
}));
const [plainKind, cardKind, lackingKind] = kinds.map(({ name }) => name) as [string, string, string];
const spec = (transcode: object): ConvertSpec => ({
  ...{ inputs: ["local://in.mp4"], output: "local://out.mp4", options: {} },
  operations: [{ type: "transcode", ...transcode }],
});
const unfit = (transcode: object): string[] => unfitKinds(kinds, spec(transcode), sampleLimits);

describe("kinds of workers", () => {
  test("what works makes a kind, and nothing else does", () => {
    expect(new Set([plainKind, cardKind, lackingKind]).size).toBe(3);
    const shuffled = { ...plain, encoders: Object.fromEntries(Object.entries(plain.encoders).reverse()) };
    expect(kindOf(shuffled)).toBe(plainKind);
    expect(cardKind).toStartWith("ffmpeg-9.0.2+nvenc#");
    // It is a part of the class, and a parameter of SQL.
    for (const name of [plainKind, cardKind, lackingKind]) expect(name).toMatch(/^[^/\s]{1,100}$/);
  });

  test("a job is beyond those that lack what it asks for by name", () => {
    expect(unfit({ video_codec: "h264", hardware_acceleration: "nvenc" })).toEqual([plainKind, lackingKind].sort());
    expect(unfit({ video_codec: "h265" })).toEqual([lackingKind]);
    expect(unfit({ video_codec: "h264", hardware_acceleration: "auto" })).toEqual([]);
  });

  test("what no single kind can do is refused", () => {
    const two = kinds.filter(({ name }) => name !== plainKind);
    expect(() =>
      unfitKinds(two, spec({ video_codec: "h265", hardware_acceleration: "nvenc" }), sampleLimits),
    ).toThrow();
  });

  test("a job says why it waits: nobody serves it, or nobody who does is of a kind that can run it", () => {
    const job = { type: "convert", priority: "normal", unfit: [plainKind] } as const;
    const any = { jobTypes: null, priorities: null };
    expect(whyUnserved({ live: [] }, job)).toStartWith("No running worker serves");
    expect(whyUnserved({ live: [{ ...any, kind: plainKind }] }, job)).toStartWith("No running worker has");
    expect(
      whyUnserved(
        {
          live: [
            { ...any, kind: plainKind },
            { ...any, kind: cardKind },
          ],
        },
        job,
      ),
    ).toBeNull();
  });
});
