/** `POST /analyze` through a whole server: figures that are FFmpeg's own, and media that nobody touches. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { testEnv } from "../support/env.ts";
import { copyClip } from "../support/media.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { type Answer, type Bench, openBench } from "./quality-harness.ts";

const SIZE = { width: 192, height: 192 };

let bench: Bench;

beforeAll(async () => {
  const video = { ...SIZE, gop: 50 };
  bench = await openBench("analyze", (files) =>
    Promise.all([
      copyClip(join(files, "reference.mkv"), {
        ...{ container: "mkv", durationSeconds: 1, video: { ...video, encoder: "ffv1" } },
      }),
      copyClip(join(files, "coarse.mp4"), {
        ...{ durationSeconds: 1, video, audio: { frequency: 1_000 } },
        outputArgs: ["-crf", "40"],
      }),
      copyClip(join(files, "late.mkv"), {
        ...{ container: "mkv", durationSeconds: 1, video: { ...video, encoder: "ffv1" } },
        outputArgs: ["-output_ts_offset", "7"],
      }),
      copyClip(join(files, "dull.mp4"), {
        ...{ durationSeconds: 3, video: { source: "color=black" }, audio: { frequency: 0 } },
      }),
    ]),
  );
  await bench.ffmpeg(testEnv().ffmpeg, "-i", "reference.mkv", "-vf", "scale=96:96,fps=50", "-c:v", "ffv1", "small.mkv");
}, 60_000);

const post = (body: object, query = ""): Promise<Answer> => bench.call("POST", `/analyze${query}`, body);
const PAIR = ["-i", "coarse.mp4", "-i", "reference.mkv"];
const number = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1]);

describe("POST /analyze", () => {
  test("agrees with FFmpeg's command line to the last digit, frame by frame too", async () => {
    const metrics = ["vmaf", "psnr", "ssim", "ms_ssim"];
    const before = (await readdir(bench.files)).sort();
    const job = await bench.finished(
      await post({ distorted_path: "coarse.mp4", reference_path: "reference.mkv", metrics }),
    );
    expect([job.status, job.error, job.type]).toEqual(["completed", null, "analyze"]);
    const { vmaf, psnr, ssim, ms_ssim: msSsim } = job.results;

    const log = join(await makeTempDir("by-hand"), "log.json");
    const feature = `libvmaf=log_fmt=json:log_path=${log}:feature=name=float_ms_ssim`;
    const said = await bench.say(testEnv().ffmpeg9, ...PAIR, "-lavfi", `[0:v][1:v]${feature}`);
    const { pooled_metrics: pooled, frames } = await Bun.file(log).json();
    expect(vmaf.score).toBe(number(said, /VMAF score: (\S+)/));
    const { score, p5: _, ...rest } = vmaf;
    expect({ mean: score, ...rest }).toEqual(pooled.vmaf);
    expect(vmaf.p5).toBeWithin(vmaf.min, vmaf.score);
    expect([msSsim.score, msSsim.min]).toEqual([pooled.float_ms_ssim.mean, pooled.float_ms_ssim.min]);

    const psnrSaid = await bench.say(testEnv().ffmpeg, ...PAIR, "-lavfi", "[0:v][1:v]psnr");
    const ssimSaid = await bench.say(testEnv().ffmpeg, ...PAIR, "-lavfi", "[0:v][1:v]ssim");
    expect(psnr.avg).toBe(number(psnrSaid, /average:(\S+)/));
    expect([psnr.y, psnr.u, psnr.v]).toEqual(
      [/y:(\S+)/, /u:(\S+)/, /v:(\S+)/].map((one) => number(psnrSaid.slice(psnrSaid.indexOf("PSNR ")), one)),
    );
    expect(ssim.score).toBe(number(ssimSaid, /All:(\S+)/));

    const { json } = await bench.call("GET", `/jobs/${job.id}/outputs`);
    expect(json.items.map(({ role }: { role: string }) => role)).toEqual(["report"]);
    const report = await bench.reportOf(job);
    expect(report.frames).toHaveLength(25);
    expect(report.frames[3]).toMatchObject({ frame: 3, vmaf: frames[3].metrics.vmaf });
    expect(report.frames[3].psnr_y).toBeNumber();
    const after = (await readdir(bench.files)).sort();
    expect(after.filter((name) => !before.includes(name))).toEqual([expect.stringMatching(/^analysis-.*\.json$/)]);
  }, 60_000);

  test("lays unlike pictures over each other: size, rate and start are the reference's", async () => {
    const metrics = ["vmaf", "psnr"];
    const small = await bench.finished(await post({ input_path: "small.mkv", reference: "reference.mkv", metrics }));
    expect([small.status, small.error]).toEqual(["completed", null]);
    expect(small.results.vmaf.score).toBeWithin(5, 95);
    expect(small.results.psnr.avg).toBeWithin(18, 60);
    expect((await bench.reportOf(small)).frames).toHaveLength(25);
    const late = await bench.finished(
      await post({ input_path: "late.mkv", reference: "reference.mkv", metrics: ["psnr"] }),
    );
    expect(late.results.psnr).toMatchObject({ avg: null, y: null });
    expect(late.results.psnr.avg).toBeNull();
  }, 60_000);

  test("takes the model and the subsampling that it is asked for", async () => {
    const pair = { distorted_path: "coarse.mp4", reference_path: "reference.mkv" };
    const plain = await bench.finished(await post({ ...pair, subsample: 5 }));
    const neg = await bench.finished(await post({ ...pair, vmaf_model: "vmaf_v0.6.1neg" }));
    const said = async (options: string) =>
      number(
        await bench.say(testEnv().ffmpeg9, ...PAIR, "-lavfi", `[0:v][1:v]libvmaf=${options}`),
        /VMAF score: (\S+)/,
      );
    expect(plain.results.vmaf.score).toBe(await said("n_subsample=5"));
    expect(neg.results.vmaf.score).toBe(await said("model=version=vmaf_v0.6.1neg"));
    expect(plain.results.vmaf.score).not.toBe(neg.results.vmaf.score);
  }, 60_000);

  test("finds what is black, frozen and silent, how loud it is and where scenes begin", async () => {
    const metrics = ["blackdetect", "freezedetect", "silence", "loudness", "scenes"];
    const { status, error, results } = await bench.finished(await post({ input: "dull.mp4", metrics }));
    expect([status, error]).toEqual(["completed", null]);
    for (const name of ["blackdetect", "freezedetect", "silence"]) {
      expect([name, results[name].count]).toEqual([name, 1]);
      expect(results[name].seconds).toBeCloseTo(3, 0);
    }
    expect(results.loudness.integrated).toBeNull();
    expect(results.scenes).toEqual({ count: 0, times: [] });
    const loud = await bench.finished(await post({ input: "coarse.mp4", metrics: ["loudness", "silence"] }));
    const said = await bench.say(testEnv().ffmpeg, "-i", "coarse.mp4", "-af", "ebur128=peak=true", "-vn");
    expect(loud.results.loudness.integrated).toBe(number(said.slice(said.indexOf("Summary:")), /I:\s+(\S+)/));
    expect(loud.results.silence.count).toBe(0);
  }, 60_000);

  test("shows its plan: the second FFmpeg runs what only it can", async () => {
    const body = { input: "coarse.mp4", reference: "reference.mkv", metrics: ["vmaf", "psnr"] };
    const { status, json } = await post(body, "?dry_run=true");
    expect(status).toBe(200);
    expect(json.steps.map(({ id }: { id: string }) => id)).toEqual(["measure", "vmaf"]);
  }, 30_000);

  const refused: readonly [string, object, number, string][] = [
    ["nothing to measure", { reference: "reference.mkv" }, 400, "distorted_path"],
    ["vmaf of one file", { input: "coarse.mp4", metrics: ["vmaf"] }, 400, "reference"],
    ["a metric that is none", { input: "coarse.mp4", metrics: ["beauty"] }, 400, "metrics[0]"],
    ["a metric twice", { input: "coarse.mp4", metrics: ["scenes", "scenes"] }, 400, "metrics"],
    ["a model that is none", { input: "coarse.mp4", metrics: ["scenes"], vmaf_model: "x" }, 400, "vmaf_model"],
    ["no frame at all", { input: "coarse.mp4", metrics: ["scenes"], subsample: 0 }, 400, "subsample"],
    ["two names that differ", { input: "a.mp4", input_path: "b.mp4", metrics: ["scenes"] }, 400, "input"],
    ["a report over its input", { input: "a.json", output: "a.json", metrics: ["scenes"] }, 400, "output_path"],
    ["a report that is none", { input: "a.mp4", output: "b.mp4", metrics: ["scenes"] }, 400, "output_path"],
  ];
  for (const [name, body, status, path] of refused) {
    test(`refuses ${name}`, async () => {
      const answer = await post(body);
      expect([answer.status, answer.json.error.details[0].path]).toEqual([status, path]);
    });
  }

  test("is no operation of a conversion", async () => {
    const operations = [{ type: "analyze", metrics: ["scenes"] }];
    const body = { input_path: "coarse.mp4", output_path: "x.json", operations };
    expect(await bench.call("POST", "/convert", body)).toMatchObject({
      status: 400,
      json: { error: { details: [{ path: "operations[0].type" }] } },
    });
  });

  test("fails by name what only the input can tell", async () => {
    const silent = await bench.finished(await post({ input: "reference.mkv", metrics: ["loudness"] }));
    expect(silent).toMatchObject({ status: "failed", error: { kind: "plan.invalid" } });
    const tiny = { input: "small.mkv", reference: "small.mkv", metrics: ["ms_ssim"] };
    expect((await bench.finished(await post(tiny))).error.message).toContain("176");
  }, 30_000);
});
