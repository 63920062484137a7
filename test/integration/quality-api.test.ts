/** What an output has to keep to be published, and the quality it is to reach, through a whole server. */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { testEnv } from "../support/env.ts";
import { copyClip } from "../support/media.ts";
import { until } from "../support/until.ts";
import { type Answer, type Bench, openBench } from "./quality-harness.ts";

let bench: Bench;

beforeAll(async () => {
  const video = { width: 128, height: 96 };
  bench = await openBench("quality", (files) =>
    Promise.all([
      copyClip(join(files, "in.mp4"), { durationSeconds: 2, video, audio: { frequency: 1_000 } }),
      copyClip(join(files, "long.mp4"), { durationSeconds: 60, video: { ...video, fps: 2, noise: 20 } }),
      copyClip(join(files, "dull.mp4"), {
        ...{ durationSeconds: 3, video: { source: "color=black" }, audio: { frequency: 0 } },
      }),
    ]),
  );
}, 60_000);

const convert = (body: object, query = ""): Promise<Answer> =>
  bench.call("POST", `/convert${query}`, { input_path: "in.mp4", ...body });
const encode = (crf: number) => ({ type: "transcode", video_codec: "h264", preset: "ultrafast", crf });

describe("options.verify", () => {
  test("lets pass what keeps it, and says what was measured", async () => {
    const operations = [{ type: "crop", x: 8, y: 8, width: 96, height: 80 }, { type: "trim", start: 0.4 }, encode(12)];
    const verify = {
      ...{ vmaf_min: 80, duration_drift_max: 0.2, black_max: 0.5, freeze_max: 1, silence_max: 0.5, full_decode: true },
      loudness: { min: -40, max: 0, true_peak_max: 0 },
    };
    const job = await bench.finished(await convert({ output_path: "kept.mp4", operations, options: { verify } }));
    expect([job.status, job.error]).toEqual(["completed", null]);
    const { vmaf, loudness, blackdetect } = job.results.verify;
    // Against the input itself a crop would be another picture altogether.
    expect(vmaf.score).toBeWithin(80, 100.1);
    expect(loudness.integrated).toBeWithin(-40, 0);
    expect(blackdetect.count).toBe(0);
    const args = ["-i", "kept.mp4", "-ss", "0.4", "-i", "in.mp4", "-lavfi"];
    const graph = "[1:v]crop=96:80:8:8,setpts=PTS-STARTPTS[r];[0:v]setpts=PTS-STARTPTS[d];[d][r]libvmaf";
    const said = await bench.say(testEnv().ffmpeg9, ...args, graph);
    expect(Math.abs(Number(/VMAF score: (\S+)/.exec(said)?.[1]) - vmaf.score)).toBeLessThan(0.5);
  }, 60_000);

  const missed: readonly [string, object, object, RegExp][] = [
    ["a score", { operations: [encode(51)] }, { vmaf_min: 95 }, /VMAF is \d+\.\d+, below 95/],
    ["a loudness", {}, { loudness: { min: -6 } }, /loudness is -\d+(\.\d+)? LUFS, below -6/],
    ["what is black", { input_path: "dull.mp4" }, { black_max: 1 }, /black for 3 s at a stretch, more than 1/],
    ["what stands", { input_path: "dull.mp4" }, { freeze_max: 1 }, /frozen for \d(\.\d+)? s at a stretch/],
    ["what is silent", { input_path: "dull.mp4" }, { silence_max: 1 }, /silent for \d(\.\d+)? s at a stretch/],
  ];
  for (const [name, body, verify, sentence] of missed) {
    test(`fails a job for ${name}, with the number, and publishes nothing`, async () => {
      const output = `missed-${missed.findIndex(([one]) => one === name)}.mp4`;
      const created = await convert({ output_path: output, operations: [encode(20)], ...body, options: { verify } });
      const job = await bench.finished(created);
      expect(job).toMatchObject({ status: "failed", error: { kind: "output.invalid", retryable: false } });
      expect(job.error.message).toMatch(sentence);
      expect(existsSync(join(bench.files, output))).toBe(false);
    }, 60_000);
  }

  test("shows its steps in the plan, each beside what it encodes", async () => {
    const verify = { vmaf_min: 90, silence_max: 1 };
    const { status, json } = await convert(
      { output_path: "x.mp4", operations: [encode(20)], options: { verify } },
      "?dry_run=true",
    );
    expect(status).toBe(200);
    expect(json.steps.map(({ id }: { id: string }) => id)).toEqual(["encode", "verify", "verify-vmaf"]);
  });

  const refused: readonly [string, object, number, string][] = [
    ["nothing", { options: { verify: {} } }, 400, "options.verify"],
    ["a score beyond all", { options: { verify: { vmaf_min: 101 } } }, 400, "options.verify.vmaf_min"],
    ["a name that is none", { options: { verify: { vmaff: 1 } } }, 400, "options.verify.vmaff"],
    [
      "a picture of sound",
      { output_path: "a.mp3", options: { verify: { vmaf_min: 1 } } },
      400,
      "options.verify.vmaf_min",
    ],
    [
      "a package",
      { output_path: "p", operations: [{ type: "stream" }], options: { verify: { silence_max: 1 } } },
      422,
      "options.verify",
    ],
  ];
  for (const [name, body, status, path] of refused) {
    test(`is not of ${name}`, async () => {
      const { status: answered, json } = await convert({ output_path: "x.mp4", operations: [], ...body });
      expect([answered, json.error?.details[0].path]).toEqual([status, path]);
    });
  }
});

const aim = (target: object) => ({
  operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
  options: { target },
});

describe("options.target", () => {
  test("finds the highest crf whose output has the score", async () => {
    const asked = await bench.finished(await convert({ output_path: "aimed.mp4", ...aim({ vmaf: 85 }) }));
    expect([asked.status, asked.error]).toEqual(["completed", null]);
    const { vmaf, crf, sampled_vmaf: sampled, reached, sampled_size_percent: size } = asked.results.target;
    expect([reached, Math.abs(sampled - vmaf.score) < 0.01]).toEqual([true, true]);
    expect(vmaf.score).toBeWithin(85, 90);
    expect(size).toBeWithin(1, 200);
    // By hand: this crf reaches it, the next does not.
    for (const [one, reaches] of [
      [crf, true],
      [crf + 0.5, false],
    ] as const) {
      const args = [
        "-i",
        "in.mp4",
        "-an",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-threads",
        "1",
        "-crf",
        `${one}`,
      ];
      await bench.ffmpeg(testEnv().ffmpeg, ...args, "by-hand.mkv");
      const said = await bench.say(
        testEnv().ffmpeg9,
        "-i",
        "by-hand.mkv",
        "-i",
        "in.mp4",
        "-lavfi",
        "[0:v][1:v]libvmaf",
      );
      expect(Number(/VMAF score: (\S+)/.exec(said)?.[1]) >= 85).toBe(reaches);
    }
  }, 90_000);

  test("samples a long film, and says what the whole came to", async () => {
    const job = await bench.finished(
      await convert({ input_path: "long.mp4", output_path: "sampled.mp4", ...aim({ vmaf: 80 }) }),
    );
    expect([job.status, job.error]).toEqual(["completed", null]);
    const { vmaf, sampled_vmaf: sampled } = job.results.target;
    expect(sampled).toBeGreaterThanOrEqual(80);
    expect(Math.abs(vmaf.score - sampled)).toBeLessThan(4);
    expect(job.warnings.some((one: string) => one.includes("VMAF"))).toBe(vmaf.score < 80);
  }, 120_000);

  test("fails where the score costs more than is allowed, and publishes nothing", async () => {
    const job = await bench.finished(
      await convert({ output_path: "dear.mp4", ...aim({ vmaf: 90, max_size_percent: 2 }) }),
    );
    expect(job).toMatchObject({ status: "failed", error: { kind: "output.invalid", retryable: false } });
    expect(job.error.message).toMatch(/would take \d+(\.\d+)? % of the input's picture, more than 2 %/);
    expect(existsSync(join(bench.files, "dear.mp4"))).toBe(false);
  }, 60_000);

  test("can be cancelled while it searches", async () => {
    const created = await convert({ input_path: "long.mp4", output_path: "gone.mp4", ...aim({ vmaf: 80 }) });
    await until(async () => (await bench.call("GET", `/jobs/${created.json.id}`)).json.progress > 10, {
      ...{ timeoutMs: 30_000, what: "the search" },
    });
    const { status, json } = await bench.call("DELETE", `/jobs/${created.json.id}`);
    expect([status, json.status]).toEqual([200, "cancelled"]);
  }, 60_000);

  test("shows how it will be looked for", async () => {
    const { status, json } = await convert(
      { output_path: "x.mp4", input_path: "long.mp4", ...aim({ vmaf: 80 }) },
      "?dry_run=true",
    );
    expect(status).toBe(200);
    expect(json.steps.map(({ id }: { id: string }) => id)).toEqual(["encode", "target"]);
    expect(json.steps[0].argv).toContain("<search/crf>");
    expect(json.search.samples).toHaveLength(3);
    expect(json.search.samples[1].steps[0].argv).toContain("<search/crf>");
  });

  const refused: readonly [string, object, number, string][] = [
    ["without a transcode", { operations: [], options: { target: { vmaf: 90 } } }, 400, "options.target"],
    [
      "beside a crf",
      { operations: [{ type: "transcode", crf: 20 }], options: { target: { vmaf: 90 } } },
      400,
      "operations[0].crf",
    ],
    ["of a score that is none", { ...aim({ vmaf: 101 }) }, 400, "options.target.vmaf"],
    [
      "of a copy",
      { operations: [{ type: "transcode", video_codec: "copy" }], options: { target: { vmaf: 9 } } },
      400,
      "options.target",
    ],
  ];
  for (const [name, body, status, path] of refused) {
    test(`is refused ${name}`, async () => {
      const { status: answered, json } = await convert({ output_path: "x.mp4", ...body });
      expect([answered, json.error?.details[0].path]).toEqual([status, path]);
    });
  }
});

describe("POST /estimate", () => {
  const estimate = (body: object): Promise<Answer> =>
    bench.call("POST", "/estimate", { input_path: "in.mp4", ...body });
  const held = (actual: number, { min, max }: { min: number; max: number }): boolean => actual >= min && actual <= max;

  test("runs a short film as a whole, and the job of the same spec records how far off it was", async () => {
    const body = { output_path: "short.mp4", operations: [encode(25)] };
    const { status, json } = await estimate(body);
    expect([status, json.samples, json.warnings]).toEqual([200, 1, []]);
    const job = await bench.finished(await convert(body));
    expect(job.metrics.estimated_bytes).toBe(json.bytes.value);
    expect(held(job.metrics.output_bytes, json.bytes)).toBe(true);
    const off = (job.metrics.output_bytes / json.bytes.value - 1) * 100;
    expect(job.metrics.estimated_bytes_off_percent).toBeCloseTo(off, 0);
    expect(job.metrics.estimated_seconds_off_percent).toBeNumber();
    expect(job.metrics.estimated_memory_off_percent).toBeNumber();
    const other = await bench.finished(await convert({ ...body, output_path: "other.mp4" }));
    expect(Object.keys(other.metrics).filter((name) => name.startsWith("estimated"))).toEqual([]);
  }, 60_000);

  test("samples a long one, and holds its band", async () => {
    const body = { input_path: "long.mp4", output_path: "longer.mp4", operations: [encode(28)] };
    const { status, json } = await estimate(body);
    expect([status, json.samples > 1, json.sampled_seconds < json.output_seconds]).toEqual([200, true, true]);
    for (const one of [json.seconds, json.cpu_seconds, json.bytes, json.memory_bytes])
      expect(one.off_percent).toBeWithin(1, 35.1);
    const job = await bench.finished(await convert(body));
    expect(held(job.metrics.output_bytes, json.bytes)).toBe(true);
    expect(held(job.metrics.memory_bytes_peak, json.memory_bytes)).toBe(true);
  }, 90_000);

  test("leaves nothing behind, and says what it does not count", async () => {
    const body = { output_path: "sides.mp4", operations: [encode(30), { type: "thumbnail", time: 0.5 }] };
    const { status, json } = await estimate(body);
    expect([status, json.warnings]).toEqual([200, ["What the further files take is not part of the estimate."]]);
    expect(existsSync(join(bench.files, "sides.mp4"))).toBe(false);
    expect((await estimate({ output_path: "copied.mkv" })).json.bytes.value).toBeGreaterThan(1_000);
  }, 60_000);

  const refused: readonly [string, object, number, string][] = [
    ["a package", { output_path: "p", operations: [{ type: "stream" }] }, 422, "UNSUPPORTED"],
    ["what finds its own crf", { output_path: "x.mp4", ...aim({ vmaf: 90 }) }, 422, "UNSUPPORTED"],
    ["what is not there", { input_path: "nowhere.mp4", output_path: "x.mp4" }, 400, "VALIDATION_ERROR"],
    ["what is no request", { output_path: "x.mp4", operations: [{ type: "nothing" }] }, 400, "VALIDATION_ERROR"],
  ];
  for (const [name, body, status, code] of refused) {
    test(`refuses ${name}`, async () => {
      const { status: answered, json } = await estimate(body);
      expect([answered, json.error?.code]).toEqual([status, code]);
    }, 30_000);
  }
});
