/**
 * Damaged media through the public API of the server: whatever a file holds, its job ends, with a message that a user
 * understands, and leaves nothing behind and nobody waiting.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { makeRandom, type Random } from "../faults/chaos/random.ts";
import { type Api, type Job, makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { copyClip, makeClip } from "../support/media.ts";
import { HEALTHY_CLIPS, type Mutant, makeMutant } from "../support/mutants.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer, untilClean } from "../support/server.ts";
import { until } from "../support/until.ts";

const COUNT = testEnv().long ? 4_000 : 80;
const SEED = 4_711;
const BATCH = 50;
const TIMEOUT_MS = testEnv().long ? 3_600_000 : 180_000;

let site: Site;
let server: RunningServer;
let api: Api;

beforeAll(async () => {
  site = await makeSite("embedded", {
    ...{ MAX_ATTEMPTS: "1", JOB_TIMEOUT: "60s", STALL_TIMEOUT: "20s", WORKER_CONCURRENCY: "3" },
    ...{ FFMPEG_PATH: testEnv().ffmpeg9, FFPROBE_PATH: testEnv().ffprobeStatic },
  });
  await copyClip(join(site.storage, "film.mp4"), { durationSeconds: 0.4, video: {}, audio: {} });
  const key = await makeKey(site);
  server = await startServer(site);
  api = makeApi(server.url, key);
}, 60_000);
afterAll(() => server.stop());

/** As the input, and as what operations name. */
function bodyOf(random: Random, name: string, n: number): object {
  const films = ["mp4", "mkv", "webm"];
  const [extension, operations] = random.pick<readonly [string, readonly object[]]>([
    ...[...films, "gif", "mp3", "png"].map((name) => [name, []] as const),
    ["mkv", [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }]],
    [
      "mp4",
      [
        { type: "scale", width: 32 },
        { type: "transcode", preset: "ultrafast" },
      ],
    ],
    ["mp4", [{ type: "trim", start: 0.1 }]],
    ["jpg", [{ type: "thumbnail" }]],
    ["png", [{ type: "waveform" }]],
    ["flac", [{ type: "audio", normalize: true }]],
    ["mp3", [{ type: "audio", extract: true }]],
    [
      "mkv",
      [
        { type: "filter", name: "deinterlace" },
        { type: "transcode", preset: "ultrafast" },
      ],
    ],
  ]);
  const output = `out/${n}.${extension}`;
  const whole = { type: "convert", input_path: "film.mp4", output_path: `out/${n}.mp4` };
  const way = random.int(8);
  if (way === 0)
    return {
      ...whole,
      operations: [
        { type: "concat", inputs: [name] },
        { type: "transcode", preset: "ultrafast" },
      ],
    };
  if (way === 1)
    return {
      ...whole,
      operations: [
        { type: "watermark", image: name },
        { type: "transcode", preset: "ultrafast" },
      ],
    };
  if (way === 2)
    return {
      ...whole,
      operations: [
        { type: "subtitle", path: name },
        { type: "transcode", preset: "ultrafast" },
      ],
    };
  return { ...whole, input_path: name, output_path: output, operations };
}

interface Made {
  readonly batch_id: string;
  readonly jobs: readonly { readonly id: string }[];
  readonly rejected: readonly object[];
}

/** What of a job is not as it should be; empty when all is. */
function complaints(job: Job, mutant: Mutant | undefined): string[] {
  const { status, error } = job;
  const about = `${mutant?.name}: ${status} ${JSON.stringify(error)}`;
  if (status === "completed") return [];
  if (status !== "failed" || error === null) return [`neither completed nor failed: ${about}`];
  // What runs out of time or is killed would be a slot that hung.
  const expected =
    /^(input\.(unreadable|unsupported|too_large)|limit\.exceeded|plan\.\w+|output\.invalid|ffmpeg\.failed)$/;
  const text = `${error.message} ${error.hint ?? ""} ${error.evidence ?? ""}`;
  const dirty = /\/(tmp|home|root|proc)\b|\bat .*\.ts:\d|\b0x[0-9a-f]{9,}|undefined|\[object|NaN/.test(text);
  return [
    ...(expected.test(error.kind) ? [] : [`of an unexpected kind: ${about}`]),
    ...(error.message.length < 10 || error.message.length > 400 || dirty ? [`not a clean message: ${about}`] : []),
  ];
}

test(
  `${COUNT} damaged files: each job ends with a clean message`,
  async () => {
    const random = makeRandom(SEED);
    const clips = await Promise.all(
      HEALTHY_CLIPS.map(async (spec) => ({
        name: spec.container ?? "mp4",
        bytes: Buffer.from(await Bun.file(await makeClip(spec)).bytes()),
      })),
    );
    const mutants = new Map<string, Mutant>();
    const kinds = new Map<string, number>();
    const wrong: string[] = [];
    for (let first = 0; first < COUNT; first += BATCH) {
      const items: object[] = [];
      const made: Mutant[] = [];
      for (let n = first; n < Math.min(COUNT, first + BATCH); n += 1) {
        const mutant = makeMutant(random, clips);
        await Bun.write(join(site.storage, `in/${n}.mp4`), mutant.bytes);
        made.push(mutant);
        items.push(bodyOf(random, `in/${n}.mp4`, n));
      }
      const { status, body } = await api.call<Made>("POST", "/batch", { items });
      expect([status, body.rejected]).toEqual([201, []]);
      body.jobs.forEach(({ id }, n) => {
        const mutant = made[n];
        if (mutant !== undefined) mutants.set(id, mutant);
      });
      const done = async () => {
        const answer = await api.call<{ status: string }>("GET", `/batch/${body.batch_id}`);
        expect(answer.status).toBe(200);
        return !["queued", "processing", "running"].includes(answer.body.status);
      };
      await until(done, { timeoutMs: TIMEOUT_MS, intervalMs: 100, what: "the batch to end" });
      for (const { id } of body.jobs) {
        const job = await api.job(id);
        const kind = job.error?.kind ?? job.status;
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        wrong.push(...complaints(job, mutants.get(id)));
      }
    }
    expect(wrong).toEqual([]);
    // They were damaged enough to matter, and not so much that nothing was read.
    expect(kinds.get("completed") ?? 0).toBeGreaterThan(COUNT / 20);
    expect(kinds.get("input.unreadable") ?? 0).toBeGreaterThan(COUNT / 20);
    await untilClean(site);
    await api.completed({ input: "film.mp4", output: "healthy.mkv", operations: [{ type: "flip" }] });
    const log = await server.log();
    expect(log.split("\n").filter((line) => /"level":"?(fatal|60)|uncaught|unhandled/i.test(line))).toEqual([]);
  },
  TIMEOUT_MS + 60_000,
);
