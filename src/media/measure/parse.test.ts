import { expect, test } from "bun:test";
import { parseFinding, parseStatsLine, pool } from "./parse.ts";

test("psnr and ssim are read from their summaries, and equal pictures have no number", () => {
  const stderr = [
    "[Parsed_psnr_0 @ 0x1] [info] PSNR y:29.324958 u:30.967621 v:30.535353 average:29.749019 min:28.963534 max:31.550249",
    "[Parsed_ssim_1 @ 0x2] [info] SSIM Y:0.923465 (11.16) U:0.950689 (13.07) V:0.955977 (13.56) All:0.933421 (11.76)",
  ].join("\n");
  expect(parseFinding("psnr", stderr)).toEqual({
    ...{ y: 29.324958, u: 30.967621, v: 30.535353, avg: 29.749019 },
    ...{ min: 28.963534, max: 31.550249 },
  });
  expect(parseFinding("ssim", stderr)).toEqual({ score: 0.933421, y: 0.923465, u: 0.950689, v: 0.955977 });
  expect(parseFinding("psnr", "PSNR y:inf u:inf v:inf average:inf min:inf max:inf")).toMatchObject({
    y: null,
    avg: null,
  });
  expect(parseFinding("psnr", "PSNR y:30.1 average:30.1 min:29 max:31")).toMatchObject({ y: 30.1, u: null, avg: 30.1 });
  expect(parseFinding("psnr", "nothing was measured")).toBeNull();
});

const frames = [
  '<frame frameNum="0" integer_adm2="0.9" float_ms_ssim="0.99" vmaf="90.000000" />',
  '<frame frameNum="5" integer_adm2="0.9" float_ms_ssim="0.98" vmaf="80.000000" />',
].join("\n");

test("vmaf is pooled from its frames where libvmaf has no figures of its own", () => {
  expect(parseFinding("vmaf", frames)).toEqual({
    vmaf: { score: 85, min: 80, max: 90, harmonic_mean: 84.709302, p5: 80.5 },
    ms_ssim: { score: 0.985, min: 0.98, max: 0.99, harmonic_mean: 0.984987, p5: 0.9805 },
    frames: 2,
  });
  expect(parseFinding("vmaf", "")).toEqual({ vmaf: null, ms_ssim: null, frames: 0 });
  expect(pool([])).toBeNull();
});

test("libvmaf's own figures count", () => {
  const sums = '<metric name="vmaf" min="80.1" max="90.1" mean="85.000001" harmonic_mean="84.7" />';
  expect(parseFinding("vmaf", `${frames}\n${sums}\n<metric name="vmaf_b" mean="1" />`)).toMatchObject({
    vmaf: { score: 85.000001, min: 80.1, max: 90.1, harmonic_mean: 84.7, p5: 80.5 },
    ms_ssim: { score: 0.985 },
  });
});

test("loudness is read from the summary alone, and silence has none", () => {
  const stderr = `[Parsed_ebur128_0 @ 0x1] [info] t: 0.4 M: -20.1 I: -21.0 LUFS
[Parsed_ebur128_0 @ 0x1] [info] Summary:

  Integrated loudness:
    I:         -22.5 LUFS
    Threshold: -32.5 LUFS

  Loudness range:
    LRA:         3.1 LU

  True peak:
    Peak:      -17.6 dBFS`;
  expect(parseFinding("loudness", stderr)).toEqual({ integrated: -22.5, range: 3.1, true_peak: -17.6 });
  expect(parseFinding("loudness", stderr.replace("-22.5", "-70.0").replace("-17.6", "-inf"))).toMatchObject({
    integrated: null,
    true_peak: null,
  });
  expect(parseFinding("loudness", "I: -3 LUFS")).toBeNull();
});

test("intervals need their length, and last to the end where they have none", () => {
  const text = `frame:0    pts:0       pts_time:0
lavfi.black_start=0
frame:30   pts:15360   pts_time:1.2
lavfi.black_end=1.2
frame:40   pts:20480   pts_time:1.6
lavfi.black_start=1.6
frame:41   pts:20992   pts_time:1.64
lavfi.black_end=1.64
frame:50   pts:25600   pts_time:2
lavfi.black_start=2`;
  expect(parseFinding("intervals", text, { minSeconds: 0.5, endSeconds: 3 })).toEqual({
    count: 2,
    longest: 1.2,
    seconds: 2.2,
    intervals: [
      { start: 0, end: 1.2 },
      { start: 2, end: 3 },
    ],
  });
  const frozen =
    "lavfi.freezedetect.freeze_start=1\nlavfi.freezedetect.freeze_duration=4\nlavfi.freezedetect.freeze_end=5";
  expect(parseFinding("intervals", frozen, { minSeconds: 2, endSeconds: 9 })).toMatchObject({ count: 1, seconds: 4 });
  const many = Array.from({ length: 1_500 }, (_, n) => `lavfi.silence_start=${n}\nlavfi.silence_end=${n + 0.5}`);
  const found = parseFinding("intervals", many.join("\n"), { minSeconds: 0, endSeconds: 0 }) as {
    intervals: unknown[];
  };
  expect(found).toMatchObject({ count: 1_500, seconds: 750 });
  expect(found.intervals).toHaveLength(1_000);
});

test("scenes and moments", () => {
  expect(parseFinding("instants", "frame:30 pts:1 pts_time:1.2\nlavfi.scd.time=1.2")).toEqual({
    count: 1,
    times: [1.2],
  });
  expect(parseFinding("moments", "frame:0 pts:0 pts_time:0\nlavfi.r128.M=-120.691")).toEqual({ count: 1 });
});

test("frames of psnr and ssim are counted from 0", () => {
  expect(
    parseStatsLine("n:1 mse_avg:45.50 mse_y:51.96 psnr_avg:31.55 psnr_y:30.97 psnr_u:inf psnr_v:32.79 ", "psnr"),
  ).toEqual({
    frame: 0,
    time: null,
    values: { psnr_avg: 31.55, psnr_y: 30.97, psnr_u: null, psnr_v: 32.79 },
  });
  expect(parseStatsLine("n:2 Y:0.927951 U:0.956014 V:0.965062 All:0.938813 (12.132423)", "ssim")?.values).toEqual({
    ...{ ssim_y: 0.927951, ssim_u: 0.956014, ssim_v: 0.965062, ssim_all: 0.938813 },
  });
  expect(parseStatsLine("not a frame", "ssim")).toBeNull();
});
