import { describe, expect, test } from "bun:test";
import { verifySchema } from "../operations/quality.schema.ts";
import type { MediaInfo } from "../types.ts";
import { metricsOf, missesOf, VERIFY_PREFIX } from "./policy.ts";

const media = (durationSeconds: number): MediaInfo => ({
  ...{ demuxers: ["mov"], container: "mp4", sizeBytes: 1, durationSeconds, startSeconds: 0, bitrate: null },
  ...{ tags: {}, streams: [], chapters: 0, warnings: [] },
});

function misses(policy: object, findings: Readonly<Record<string, unknown>>, seconds = 10): string[] {
  const named = Object.fromEntries(Object.entries(findings).map(([name, value]) => [VERIFY_PREFIX + name, value]));
  return missesOf({ policy: verifySchema.parse(policy), durationSeconds: 10 }, named, media(seconds));
}

const vmaf = (score: number) => ({ vmaf: { vmaf: { score } } });
const found = (longest: number) => ({ count: 1, seconds: longest, longest, intervals: [] });
const loud = (integrated: number | null, peak: number | null) => ({
  loudness: { integrated, range: 1, true_peak: peak },
});

describe("a policy", () => {
  const cases: readonly [object, Readonly<Record<string, unknown>>, RegExp | null][] = [
    [{ vmaf_min: 90 }, vmaf(90), null],
    [{ vmaf_min: 90 }, vmaf(89.9996), /VMAF is 89.9996, below 90/],
    [{ vmaf_min: 90 }, vmaf(71.23456), /VMAF is 71.23456, below 90/],
    [{ vmaf_min: 1 }, {}, /unknown/],
    [{ black_max: 1 }, {}, /black is unknown/],
    [{ loudness: { max: -1 } }, {}, /loudness is unknown/],
    [{ black_max: 2 }, { blackdetect: found(2) }, null],
    [{ black_max: 2 }, { blackdetect: found(2.04) }, /black for 2.04 s at a stretch, more than 2/],
    [{ freeze_max: 0 }, { freezedetect: found(0.5) }, /frozen for 0.5 s/],
    [{ silence_max: 1 }, { silence: found(3) }, /silent for 3 s/],
    [{ silence_max: 1 }, { silence: { ...found(0), count: 0 } }, null],
    [{ loudness: { min: -24, max: -22 } }, loud(-23, -2), null],
    [{ loudness: { min: -24 } }, loud(-30, -2), /loudness is -30 LUFS, below -24/],
    [{ loudness: { max: -22 } }, loud(-10, -2), /loudness is -10 LUFS, above -22/],
    [{ loudness: { true_peak_max: -1 } }, loud(-10, 0.2), /true peak is 0.2 dBTP, above -1/],
    [{ loudness: { min: -24 } }, loud(null, null), /silent/],
    [{ loudness: { max: -24 } }, loud(null, null), null],
  ];
  for (const [policy, findings, sentence] of cases) {
    test(`${JSON.stringify(policy)} with ${JSON.stringify(findings)}`, () => {
      const said = misses(policy, findings);
      if (sentence === null) expect(said).toEqual([]);
      else expect(said.join()).toMatch(sentence);
    });
  }

  test("says by how much a film is too long or too short", () => {
    expect(misses({ duration_drift_max: 0.1 }, {}, 10.1)).toEqual([]);
    expect(misses({ duration_drift_max: 0.1 }, {}, 9.5)).toEqual(["it lasts 9.5 s and not 10, 0.5 s off"]);
  });

  test("names all that it misses, and measures no more than it needs", () => {
    expect(misses({ vmaf_min: 99, black_max: 1 }, { ...vmaf(1), blackdetect: found(3) })).toHaveLength(2);
    expect(metricsOf(verifySchema.parse({ vmaf_min: 1, silence_max: 0, full_decode: true }))).toEqual([
      "vmaf",
      "silence",
    ]);
  });

  test("has to name something, and levels that can be met", () => {
    for (const wrong of [
      {},
      { full_decode: false },
      { vmaf_min: 101 },
      { loudness: {} },
      { loudness: { min: -1, max: -2 } },
    ])
      expect(verifySchema.safeParse(wrong).success).toBe(false);
  });
});
