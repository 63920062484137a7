/** Jobs whose inputs lie on the web, through the whole server with real FFmpeg. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { type Api, makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { makeClip } from "../support/media.ts";
import { serveKnowing } from "../support/serve-knowing.ts";
import { memoryLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { startWebServer, type WebServer } from "../support/web-server.ts";

let web: WebServer;
let workFolders: string;
let storage: string;
let api: Api;
let stop: () => Promise<void>;

beforeAll(async () => {
  const folder = await makeTempDir("transfer");
  web = await startWebServer();
  workFolders = join(folder, "work");
  storage = join(folder, "data", "storage");
  const config = loadConfig({
    cwd: folder,
    env: {
      ...{ RENDIFF_ENV: "test", API_HOST: "127.0.0.1", API_PORT: "0", SANDBOX: "auto", DRAIN_DELAY: "0s" },
      ...{
        DATA_DIR: join(folder, "data"),
        TEMP_STORAGE: workFolders,
        WORKER_CONCURRENCY: "1",
        ALLOW_PRIVATE_NETWORKS: "127.0.0.1/32",
      },
      ...{ ADMIN_API_KEYS: "transfer-test-key-1", RATE_LIMIT: "100000/min", ADDRESS_RATE_LIMIT: "100000/min" },
    },
  });
  const server = await serveKnowing(config, memoryLogger([]));
  api = makeApi(server.url, "transfer-test-key-1");
  stop = () => server.drain();
}, 40_000);
afterAll(async () => {
  await stop();
  await web[Symbol.asyncDispose]();
});

/** Films of more than what is looked at first, by the container that FFmpeg reads from a pipe. */
const NOISE = ["-f", "lavfi", "-i", "nullsrc=s=640x360:r=25:d=3,geq=random(1)*255:128:128"];
const SOUND = ["-f", "lavfi", "-i", "anoisesrc=r=48000:d=40,aformat=channel_layouts=stereo"];
const LONG_SOUND = ["-f", "lavfi", "-i", "anoisesrc=r=48000:d=90"];
const SHORT_SOUND = ["-f", "lavfi", "-i", "anoisesrc=r=48000:d=3"];
const PICTURES = ["-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj420p"];
const CONTAINERS: Readonly<Record<string, readonly string[]>> = {
  mp4: [...NOISE, ...SHORT_SOUND, ...PICTURES, "-c:a", "aac", "-movflags", "+faststart"],
  "late.mp4": [...NOISE, ...SHORT_SOUND, ...PICTURES, "-c:a", "aac"],
  mkv: [...NOISE, ...SHORT_SOUND, ...PICTURES, "-c:a", "flac"],
  webm: [...NOISE, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "60M", "-qmax", "4"],
  ts: [...NOISE, ...SHORT_SOUND, "-c:v", "mpeg2video", "-q:v", "1", "-c:a", "mp2"],
  mp3: [...LONG_SOUND, "-c:a", "libmp3lame", "-b:a", "320k"],
  wav: [...SOUND],
  flac: [...SOUND],
};

async function makeFilm(container: string): Promise<Uint8Array> {
  const path = join(await makeTempDir("film"), `film.${container}`);
  const argv = [testEnv().ffmpeg9, "-v", "error", ...(CONTAINERS[container] ?? []), path];
  const child = Bun.spawn(argv, { stderr: "pipe" });
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
  return await readFile(path);
}

/** Bytes that FFmpeg has written for jobs that run. */
async function writtenBytes(): Promise<number> {
  const names = await readdir(workFolders, { recursive: true }).catch(() => []);
  const sizes = names.filter((name) => /\/out\//.test(name)).map((name) => Bun.file(join(workFolders, name)).size);
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe("an input that is fetched while FFmpeg works", () => {
  for (const container of Object.keys(CONTAINERS)) {
    test(`${container}: output is there before the last byte has arrived`, async () => {
      const bytes = await makeFilm(container);
      // Behind it lies what was fetched before, of some containers.
      const last = bytes.length - 1024 * 1024 - 128 * 1024;
      let before = -1;
      const onPart = async (offset: number, start: number): Promise<void> => {
        // The end of a file is looked at before; what is held back is the end of the reading in order.
        const isLook = start >= bytes.length - 1024 * 1024;
        if (before >= 0 || offset + 64 * 1024 < last || isLook || !started) return;
        before = await until(writtenBytes, { timeoutMs: 30_000, what: "output while the input is held back" });
      };
      let started = false;
      web.put(`/${container}`, { bytes, onPart });
      const sound = ["mp3", "wav", "flac"].includes(container);
      const output = `out/streamed-${container}.${sound ? "wav" : "mkv"}`;
      const body = {
        ...{ input: `${web.url}/${container}`, output },
        operations: sound ? [] : [{ type: "transcode", video_codec: "h264", preset: "ultrafast", crf: 20 }],
      };
      const planned = await api.call<{ transfers: object[] }>("POST", "/convert?dry_run=true", body);
      expect(planned.body.transfers).toMatchObject([{ file: "in/0", mode: "streamed" }]);
      const first = web.requests.length;
      started = true;
      const job = await api.completed(body, 40_000);
      expect(before).toBeGreaterThan(0);
      const duration = sound ? (container === "mp3" ? 90 : 40) : 3;
      expect(Math.abs((job.outputs[0]?.media.duration_seconds ?? 0) - duration)).toBeLessThan(0.2);
      // Each byte once, but for the probes at its ends.
      const sent = web.requests.slice(first).reduce((sum, { sentBytes }) => sum + sentBytes, 0);
      expect(sent).toBeLessThan(bytes.length + 2 * 1024 * 1024);
    }, 90_000);
  }

  test("one that breaks off is taken up where it stopped; one that changes fails the job, and nothing is published", async () => {
    const bytes = await makeFilm("wav");
    const cut = { afterBytes: 2_000_000, times: 2 };
    web.put("/cut-stream", { bytes, cut });
    const job = await api.completed({ input: `${web.url}/cut-stream`, output: "out/cut-stream.flac" }, 40_000);
    expect(cut.times).toBe(0);
    expect(Math.abs((job.outputs[0]?.media.duration_seconds ?? 0) - 40)).toBeLessThan(0.1);
    const onPart = (offset: number): void => {
      if (offset > 4_000_000) web.put("/new-stream", { bytes, etag: '"two"' });
    };
    web.put("/new-stream", { bytes, etag: '"one"', onPart, cut: { afterBytes: 5_000_000, times: 9 } });
    const failed = await api.failed({ input: `${web.url}/new-stream`, output: "out/new-stream.flac" });
    expect(failed).toMatchObject({ kind: "input.changed" });
    expect(await Bun.file(join(workFolders, "..", "data", "storage", "out", "new-stream.flac")).exists()).toBe(false);
  }, 90_000);

  test("one whose index is moved to the front on its way comes out as from a file", async () => {
    const bytes = await makeFilm("late.mp4");
    web.put("/late-same", { bytes });
    await Bun.write(join(storage, "late.mp4"), bytes);
    const operations = [{ type: "transcode", video_codec: "h264", preset: "ultrafast", crf: 30 }];
    const sums = await Promise.all(
      [`${web.url}/late-same`, "late.mp4"].map(async (input, at) => {
        const job = await api.completed({ input, output: `out/late-${at}.mp4`, operations }, 40_000);
        return job.outputs[0]?.sha256;
      }),
    );
    expect(sums[0]).toBe(sums[1] ?? "");
  }, 90_000);

  test("one in fragments is fetched first, and the plan says so", async () => {
    const path = join(await makeTempDir("film"), "end.mp4");
    const argv = [...NOISE, ...PICTURES, "-movflags", "+frag_keyframe", path];
    expect(await Bun.spawn([testEnv().ffmpeg9, "-v", "error", ...argv]).exited).toBe(0);
    web.put("/end", { bytes: await readFile(path) });
    const body = { input: `${web.url}/end`, output: "out/end.mkv" };
    const planned = await api.call<{ transfers: object[] }>("POST", "/convert?dry_run=true", body);
    expect(planned.body.transfers).toEqual([
      { file: "in/0", mode: "downloaded", reason: expect.stringContaining("whole") },
    ]);
    await api.completed(body, 40_000);
  });
});

describe("an input on the web", () => {
  test("is probed, planned and converted", async () => {
    web.put("/film.mp4", { bytes: await readFile(await makeClip()) });
    const input = `${web.url}/film.mp4?token=a%2Fb`;
    const probed = await api.call<{ format: { container: string } }>("POST", "/probe", { input });
    expect(probed.status).toBe(200);
    const job = await api.completed({ input, output: "out/film.mkv" });
    expect(job.input_path).toBe(input);
    expect(job.outputs[0]).toMatchObject({ uri: "local://out/film.mkv" });
  });

  test("that breaks off is taken up where it stopped; one that cannot be is tried again, and never cut short", async () => {
    const bytes = await readFile(await makeClip());
    web.put("/cut.mp4", { bytes, cut: { afterBytes: 1_000, times: 3 } });
    await api.completed({ input: `${web.url}/cut.mp4`, output: "out/cut.mkv" });
    web.put("/changes.mp4", { bytes, etag: '"one"', onPart: () => web.put("/changes.mp4", { bytes, etag: '"two"' }) });
    expect(await api.failed({ input: `${web.url}/changes.mp4`, output: "out/changes.mkv" })).toMatchObject({
      kind: "input.changed",
    });
  });

  test("that is captions of no sensible length is refused before it is fetched", async () => {
    web.put("/film.mp4", { bytes: await readFile(await makeClip()) });
    web.put("/long.srt", { bytes: new Uint8Array(21_000_000) });
    const operations = [{ type: "subtitle", path: `${web.url}/long.srt` }];
    const failed = await api.failed({ input: `${web.url}/film.mp4`, output: "out/captions.mp4", operations });
    expect(failed).toMatchObject({ kind: "input.too_large", message: expect.stringContaining("20000000") });
    const asked = web.requests.filter(({ path }) => path === "/long.srt");
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.reduce((sum, { sentBytes }) => sum + sentBytes, 0)).toBeLessThan(2_000_000);
  });

  test("is refused where the guard refuses it, when the job is submitted", async () => {
    for (const input of ["http://169.254.169.254/latest/", "http://10.0.0.1/a.mp4", "http://a:b@example.com/a.mp4"]) {
      const answer = await api.call<{ error: { code: string } }>("POST", "/convert", { input, output: "out/x.mp4" });
      expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    }
    const output = await api.call<{ error: { code: string } }>("POST", "/convert", {
      ...{ input: "a.mp4", output: `${web.url}/out.mp4` },
    });
    expect([output.status, output.body.error.code]).toEqual([422, "UNSUPPORTED"]);
    expect(await api.failed({ input: `${web.url}/none.mp4`, output: "out/x.mkv" })).toMatchObject({
      kind: "input.not_found",
    });
  });
});
