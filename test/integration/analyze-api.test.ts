/** `POST /analyze` through a whole server: figures that are FFmpeg's own, and media that nobody touches. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { serve } from "../../src/boot/serve.ts";
import { loadConfig } from "../../src/config/load.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { copyClip } from "../support/media.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const KEY = "0123456789abcdef0123";
const WAIT = { timeoutMs: 40_000, intervalMs: 50 };
const SIZE = { width: 192, height: 192 };

let base = "";
let files = "";

async function start(name: string, env: Readonly<Record<string, string>>): Promise<string> {
  const folder = await makeTempDir(name);
  const config = loadConfig({
    cwd: folder,
    env: {
      ...{ RENDIFF_ENV: "test", API_HOST: "127.0.0.1", API_PORT: "0", SANDBOX: "auto", DRAIN_DELAY: "0s" },
      ...{ DATA_DIR: join(folder, "data"), STORAGE_PATH: files, TEMP_STORAGE: join(folder, "work") },
      ...{ ADMIN_API_KEYS: KEY, WORKER_CONCURRENCY: "1" },
      ...env,
    },
  });
  const server = await serve(config, silentLogger());
  afterFile(() => server.drain());
  return `${server.url.replace(/\/$/, "")}/api/v1`;
}

beforeAll(async () => {
  files = join(await makeTempDir("analyze"), "files");
  await mkdir(files);
  const video = { ...SIZE, gop: 50 };
  await Promise.all([
    copyClip(join(files, "reference.mkv"), {
      container: "mkv",
      durationSeconds: 1,
      video: { ...video, encoder: "ffv1" },
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
  ]);
  await write("-i", "reference.mkv", "-vf", "scale=96:96,fps=50", "-c:v", "ffv1", "small.mkv");
  base = await start("analyze-server", { VMAF_FFMPEG_PATH: testEnv().ffmpeg9 });
}, 60_000);

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is looked at field by field.
  readonly json: any;
}

async function call(method: string, path: string, body?: unknown, at = base): Promise<Answer> {
  const answer = await fetch(`${at}${path}`, {
    method,
    headers: { "x-api-key": KEY, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: await answer.json() };
}

// biome-ignore lint/suspicious/noExplicitAny: a report is looked at field by field.
const fetched = async (url: string): Promise<any> => (await fetch(url)).json();

const post = (body: object, query = ""): Promise<Answer> => call("POST", `/analyze${query}`, body);

async function finished(created: Answer): Promise<Answer["json"]> {
  expect([created.status, created.json.error]).toEqual([201, null]);
  return until(
    async () => {
      const { json } = await call("GET", `/jobs/${created.json.id}`);
      return ["completed", "failed"].includes(json.status) && json;
    },
    { ...WAIT, what: "the job to end" },
  );
}

/** FFmpeg's own command line, as somebody would type it; resolves to what it says. */
async function ffmpeg(program: string, ...args: string[]): Promise<string> {
  const child = Bun.spawn([program, "-hide_banner", "-nostats", "-y", ...args], {
    ...{ cwd: files, stdin: "ignore", stdout: "ignore", stderr: "pipe", timeout: 30_000 },
  });
  const text = await new Response(child.stderr).text();
  expect(await child.exited).toBe(0);
  return text;
}

const write = (...args: string[]): Promise<string> => ffmpeg(testEnv().ffmpeg, ...args);
const say = (program: string, ...args: string[]): Promise<string> => ffmpeg(program, ...args, "-f", "null", "-");

const PAIR = ["-i", "coarse.mp4", "-i", "reference.mkv"];
const number = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1]);

describe("POST /analyze", () => {
  test("agrees with FFmpeg's command line to the last digit, frame by frame too", async () => {
    const metrics = ["vmaf", "psnr", "ssim", "ms_ssim"];
    const before = (await readdir(files)).sort();
    const job = await finished(await post({ distorted_path: "coarse.mp4", reference_path: "reference.mkv", metrics }));
    expect([job.status, job.error, job.type]).toEqual(["completed", null, "analyze"]);
    const { vmaf, psnr, ssim, ms_ssim: msSsim } = job.results;

    const log = join(await makeTempDir("by-hand"), "log.json");
    const feature = `libvmaf=log_fmt=json:log_path=${log}:feature=name=float_ms_ssim`;
    const said = await say(testEnv().ffmpeg9, ...PAIR, "-lavfi", `[0:v][1:v]${feature}`);
    const { pooled_metrics: pooled, frames } = await Bun.file(log).json();
    expect(vmaf.score).toBe(number(said, /VMAF score: (\S+)/));
    const { score, p5: _, ...rest } = vmaf;
    expect({ mean: score, ...rest }).toEqual(pooled.vmaf);
    expect(vmaf.p5).toBeWithin(vmaf.min, vmaf.score);
    expect([msSsim.score, msSsim.min]).toEqual([pooled.float_ms_ssim.mean, pooled.float_ms_ssim.min]);

    const psnrSaid = await say(testEnv().ffmpeg, ...PAIR, "-lavfi", "[0:v][1:v]psnr");
    const ssimSaid = await say(testEnv().ffmpeg, ...PAIR, "-lavfi", "[0:v][1:v]ssim");
    expect(psnr.avg).toBe(number(psnrSaid, /average:(\S+)/));
    expect([psnr.y, psnr.u, psnr.v]).toEqual(
      [/y:(\S+)/, /u:(\S+)/, /v:(\S+)/].map((one) => number(psnrSaid.slice(psnrSaid.indexOf("PSNR ")), one)),
    );
    expect(ssim.score).toBe(number(ssimSaid, /All:(\S+)/));

    const { json } = await call("GET", `/jobs/${job.id}/outputs`);
    expect(json.items.map(({ role }: { role: string }) => role)).toEqual(["report"]);
    const report = await fetched(json.items[0].download_url);
    expect(report.frames).toHaveLength(25);
    expect(report.frames[3]).toMatchObject({ frame: 3, vmaf: frames[3].metrics.vmaf });
    expect(report.frames[3].psnr_y).toBeNumber();
    const after = (await readdir(files)).sort();
    expect(after.filter((name) => !before.includes(name))).toEqual([expect.stringMatching(/^analysis-.*\.json$/)]);
  }, 60_000);

  test("lays unlike pictures over each other: size, rate and start are the reference's", async () => {
    const metrics = ["vmaf", "psnr"];
    const small = await finished(await post({ input_path: "small.mkv", reference: "reference.mkv", metrics }));
    expect([small.status, small.error]).toEqual(["completed", null]);
    expect(small.results.vmaf.score).toBeWithin(5, 95);
    expect(small.results.psnr.avg).toBeWithin(18, 60);
    const { json } = await call("GET", `/jobs/${small.id}/outputs`);
    expect((await fetched(json.items[0].download_url)).frames).toHaveLength(25);
    const late = await finished(await post({ input_path: "late.mkv", reference: "reference.mkv", metrics: ["psnr"] }));
    expect(late.results.psnr).toMatchObject({ avg: null, y: null });
    expect(late.results.psnr.avg).toBeNull();
  }, 60_000);

  test("takes the model and the subsampling that it is asked for", async () => {
    const pair = { distorted_path: "coarse.mp4", reference_path: "reference.mkv" };
    const plain = await finished(await post({ ...pair, subsample: 5 }));
    const neg = await finished(await post({ ...pair, vmaf_model: "vmaf_v0.6.1neg" }));
    const said = async (options: string) =>
      number(await say(testEnv().ffmpeg9, ...PAIR, "-lavfi", `[0:v][1:v]libvmaf=${options}`), /VMAF score: (\S+)/);
    expect(plain.results.vmaf.score).toBe(await said("n_subsample=5"));
    expect(neg.results.vmaf.score).toBe(await said("model=version=vmaf_v0.6.1neg"));
    expect(plain.results.vmaf.score).not.toBe(neg.results.vmaf.score);
  }, 60_000);

  test("finds what is black, frozen and silent, how loud it is and where scenes begin", async () => {
    const metrics = ["blackdetect", "freezedetect", "silence", "loudness", "scenes"];
    const { status, error, results } = await finished(await post({ input: "dull.mp4", metrics }));
    expect([status, error]).toEqual(["completed", null]);
    for (const name of ["blackdetect", "freezedetect", "silence"]) {
      expect([name, results[name].count]).toEqual([name, 1]);
      expect(results[name].seconds).toBeCloseTo(3, 0);
    }
    expect(results.loudness.integrated).toBeNull();
    expect(results.scenes).toEqual({ count: 0, times: [] });
    const loud = await finished(await post({ input: "coarse.mp4", metrics: ["loudness", "silence"] }));
    const said = await say(testEnv().ffmpeg, "-i", "coarse.mp4", "-af", "ebur128=peak=true", "-vn");
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
    expect(await call("POST", "/convert", body)).toMatchObject({
      status: 400,
      json: { error: { details: [{ path: "operations[0].type" }] } },
    });
  });

  test("fails by name what only the input can tell", async () => {
    const silent = await finished(await post({ input: "reference.mkv", metrics: ["loudness"] }));
    expect(silent).toMatchObject({ status: "failed", error: { kind: "plan.invalid" } });
    const tiny = { input: "small.mkv", reference: "small.mkv", metrics: ["ms_ssim"] };
    expect((await finished(await post(tiny))).error.message).toContain("176");
  }, 30_000);
});
