/** What measures: analyses, policies, scores to reach and estimates, through an API that has no FFmpeg and asks a worker. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Job } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { untilClean } from "../support/server.ts";
import { inProfiles, put, stored } from "./harness.ts";

interface Scores {
  readonly score: number;
}
interface Measured extends Job {
  readonly results: {
    readonly vmaf: Scores & { readonly min: number };
    readonly psnr: { readonly avg: number };
    readonly ssim: Scores;
    readonly verify: { readonly vmaf: Scores };
    readonly target: { readonly vmaf: Scores; readonly crf: number; readonly reached: boolean };
  };
  readonly metrics: Readonly<Record<string, number>>;
}
interface Predicted {
  readonly value: number;
  readonly min: number;
  readonly max: number;
}
interface Estimated {
  readonly bytes: Predicted;
  readonly seconds: Predicted;
  readonly memory_bytes: Predicted;
}

const encode = (crf?: number) => ({
  ...{ type: "transcode", video_codec: "h264", preset: "ultrafast" },
  ...(crf === undefined ? {} : { crf }),
});

const scenarios: Parameters<typeof inProfiles>[2] = (stage) => {
  const film = () => put(stage().site, "film.mp4", { video: { width: 128, height: 96 }, audio: { frequency: 1_000 } });
  const convert = async (output: string, more: object): Promise<Measured> => {
    const { api } = stage();
    const { id } = await api.convert({ input: await film(), output, ...more });
    return (await api.ended(id)) as Measured;
  };

  test("an analysis compares, and its report has every frame", async () => {
    const { api, site } = stage();
    const coarse = await convert("coarse.mp4", { operations: [encode(45)] });
    expect(coarse.status).toBe("completed");
    const body = { reference_path: "film.mp4", distorted_path: "coarse.mp4", metrics: ["vmaf", "psnr", "ssim"] };
    const created = await api.call<Job>("POST", "/analyze", body);
    expect([created.status, created.body.type]).toEqual([201, "analyze"]);
    const { status, results } = (await api.ended(created.body.id)) as Measured;
    expect(status).toBe("completed");
    expect(results.vmaf.score).toBeWithin(1, 95);
    expect(results.psnr.avg).toBeWithin(15, 45);
    expect(results.ssim.score).toBeWithin(0.3, 0.999);
    const [report] = await api.outputs(created.body.id);
    expect(report?.role).toBe("report");
    const { frames } = (await (await fetch(report?.download_url ?? "")).json()) as { frames: Record<string, number>[] };
    expect(frames).toHaveLength(25);
    expect(frames[0]).toMatchObject({ vmaf: expect.any(Number), psnr_y: expect.any(Number) });
    await untilClean(site);
  });

  test("a policy lets pass what keeps it, and nothing else", async () => {
    const verify = { vmaf_min: 80, full_decode: true, silence_max: 0.5 };
    const kept = await convert("kept.mp4", { operations: [encode(10)], options: { verify } });
    expect([kept.status, kept.results.verify.vmaf.score >= 80]).toEqual(["completed", true]);
    const missed = await convert("missed.mp4", { operations: [encode(51)], options: { verify } });
    expect([missed.status, missed.error?.kind]).toEqual(["failed", "output.invalid"]);
    expect(missed.error?.message).toMatch(/VMAF is \d+(\.\d+)?, below 80/);
    expect(existsSync(stored(stage().site, "missed.mp4"))).toBe(false);
  });

  test("a score that is asked for is reached", async () => {
    const { status, results } = await convert("aimed.mp4", {
      ...{ operations: [encode()], options: { target: { vmaf: 85 } } },
    });
    expect([status, results.target.reached]).toEqual(["completed", true]);
    expect(results.target.vmaf.score).toBeWithin(85, 95);
    expect(results.target.crf).toBeWithin(1, 51.1);
  });

  test("an estimate comes from a worker, and its job says how far off it was", async () => {
    const { api } = stage();
    const body = { input: await film(), output: "guessed.mp4", operations: [encode(28)] };
    const { status, body: estimate } = await api.call<Estimated>("POST", "/estimate", body);
    expect(status).toBe(200);
    for (const { value, min, max } of [estimate.bytes, estimate.seconds, estimate.memory_bytes]) {
      expect(min).toBeGreaterThanOrEqual(0);
      expect(value).toBeWithin(min, max + 1e-9);
    }
    const { metrics } = (await api.completed(body)) as Measured;
    expect(metrics.estimated_bytes).toBe(estimate.bytes.value);
    expect(metrics.output_bytes).toBeWithin(estimate.bytes.min, estimate.bytes.max + 1);
    expect(metrics.estimated_bytes_off_percent).toBeNumber();
    const none = await api.call("POST", "/estimate", { ...body, input: "nowhere.mp4" });
    expect(none).toMatchObject({ status: 400, body: { error: { code: "VALIDATION_ERROR" } } });
  });
};

inProfiles(["cluster"], "quality", scenarios, { VMAF_FFMPEG_PATH: testEnv().ffmpeg9 });
