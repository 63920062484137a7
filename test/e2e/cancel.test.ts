/** A cancelled job is dead at once, and leaves nothing. */
import { expect, test } from "bun:test";
import type { Job } from "../support/api.ts";
import { leftovers, untilClean } from "../support/server.ts";
import { until } from "../support/until.ts";
import { inAllProfiles, passTime, put, SLOW_CLIP, type Stage, slowJob, stored } from "./harness.ts";

const DEAD_WITHIN_MS = 2_000;

async function cancel({ api, site, server }: Stage, job: Job, output: string): Promise<void> {
  const asked = performance.now();
  const { status, body } = await api.call<Job>("DELETE", `/jobs/${job.id}`);
  expect([status, body.status]).toEqual([200, "cancelled"]);
  await until(() => server.media().length === 0, { timeoutMs: DEAD_WITHIN_MS, what: "FFmpeg to be dead" });
  expect(performance.now() - asked).toBeLessThan(DEAD_WITHIN_MS);
  expect(await leftovers(site)).toEqual([]);
  expect(await Bun.file(stored(site, output)).exists()).toBe(false);
  const types = (await api.logs(job.id)).map(({ type }) => type);
  expect(types.filter((type) => /^job\.(completed|failed|cancelled)$/.test(type))).toEqual(["job.cancelled"]);
}

/** Its probe has progress and a program as well, and between the two there is no program. */
function encoding({ api, server }: Stage, job: Job): () => Promise<boolean> {
  return async () => (await api.job(job.id)).stage === "encoding" && server.media().length > 0;
}

inAllProfiles("cancel", (stage) => {
  test("while FFmpeg encodes", async () => {
    const now = stage();
    const job = await now.api.convert(slowJob(await put(now.site, "long.mp4", SLOW_CLIP), "encoding.mp4"));
    await until(encoding(now, job), { timeoutMs: 30_000, what: "FFmpeg to encode" });
    await cancel(now, job, "encoding.mp4");
  });

  test("while FFmpeg encodes the second pass's first", async () => {
    const now = stage();
    const input = await put(now.site, "long.mp4", SLOW_CLIP);
    const operations = [
      { type: "transcode", video_codec: "h265", preset: "veryslow", video_bitrate: "2M", two_pass: true, width: 1280 },
    ];
    const job = await now.api.convert({ input, output: "two.mp4", operations });
    await until(encoding(now, job), { timeoutMs: 30_000, what: "FFmpeg to encode" });
    await cancel(now, job, "two.mp4");
  });

  test("at once, and at any moment of its beginning", async () => {
    const now = stage();
    const input = await put(now.site, "long.mp4", SLOW_CLIP);
    for (const delayMs of [0, 5, 20, 50, 100, 200, 400]) {
      const output = `soon-${delayMs}.mp4`;
      const job = await now.api.convert(slowJob(input, output));
      await passTime(delayMs);
      await cancel(now, job, output);
    }
  });

  test("while it waits for a slot", async () => {
    const now = stage();
    const input = await put(now.site, "long.mp4", SLOW_CLIP);
    const running = await Promise.all(["r1.mp4", "r2.mp4"].map((output) => now.api.convert(slowJob(input, output))));
    for (const { id } of running) {
      await until(async () => (await now.api.job(id)).status === "processing", { timeoutMs: 20_000 });
    }
    const waiting = await now.api.convert(slowJob(input, "waiting.mp4"));
    const { status, body } = await now.api.call<Job>("DELETE", `/jobs/${waiting.id}`);
    expect([status, body.status]).toEqual([200, "cancelled"]);
    for (const { id } of running) expect((await now.api.call("DELETE", `/jobs/${id}`)).status).toBe(200);
    await untilClean(now.site);
  });

  test("at random moments of short jobs: cancelled without an output, or completed with a whole one", async () => {
    const now = stage();
    const input = await put(now.site, "short.mp4", { durationSeconds: 1 });
    const operations = [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }];
    const seen = new Set<string>();
    for (let round = 0; round < 12; round++) {
      const output = `race-${round}.mp4`;
      const job = await now.api.convert({ input, output, operations });
      await passTime(round * 30);
      const { status } = await now.api.call<Job>("DELETE", `/jobs/${job.id}`);
      expect([200, 202, 409]).toContain(status);
      const done = await now.api.ended(job.id);
      seen.add(done.status);
      if (status === 200) expect(done.status).toBe("cancelled");
      expect(await Bun.file(stored(now.site, output)).exists()).toBe(done.status === "completed");
    }
    await untilClean(now.site);
    expect(seen.has("cancelled")).toBe(true);
  });
});
