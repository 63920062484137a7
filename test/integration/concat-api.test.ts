/** Joined files and raw options through the whole server: inputs here and on the web, one job, one output. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Api, type ApiError, makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { copyClip, makeClip } from "../support/media.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer } from "../support/server.ts";
import { startWebServer, type WebServer } from "../support/web-server.ts";

let site: Site;
let web: WebServer;
let server: RunningServer;
let api: Api;

beforeAll(async () => {
  site = await makeSite("embedded", {
    ...{ ALLOW_PRIVATE_NETWORKS: "127.0.0.1/32", ALLOW_RAW_OPTIONS: "true", MAX_DURATION: "60s" },
    ...{ FFMPEG_PATH: testEnv().ffmpeg9, FFPROBE_PATH: testEnv().ffprobeStatic },
  });
  web = await startWebServer();
  await copyClip(join(site.storage, "first.mp4"), { video: {}, audio: {} });
  await copyClip(join(site.storage, "long.mkv"), { durationSeconds: 61, video: { fps: 1 } });
  await Bun.write(join(site.storage, "list.mp4"), "ffconcat version 1.0\nfile first.mp4\n");
  const remote = await Bun.file(
    await makeClip({ container: "webm", video: { width: 48, height: 80, fps: 10 }, audio: {} }),
  ).bytes();
  web.put("/remote.webm", { bytes: remote });
  web.put("/sound.wav", { bytes: await Bun.file(await makeClip({ container: "wav", audio: {} })).bytes() });
  const key = await makeKey(site);
  server = await startServer(site);
  api = makeApi(server.url, key);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await web[Symbol.asyncDispose]();
});

const concat = (...inputs: string[]) => ({ type: "concat", inputs });
const job = (output: string, ...operations: object[]) => ({ input: "first.mp4", output, operations });

describe("concat", () => {
  test("of files here and on the web, with what follows, in one run", async () => {
    const body = job(
      "joined.mp4",
      { ...concat(`${web.url}/remote.webm`, `${web.url}/sound.wav`, "first.mp4"), transition: "fade" },
      { type: "text", text: "joined" },
      { type: "thumbnail", time: 1 },
      { type: "transcode", preset: "ultrafast" },
    );
    const planned = await api.call<{ steps: { id: string }[]; transfers: { mode: string }[] }>(
      "POST",
      "/convert?dry_run=true",
      body,
    );
    expect(planned.body.steps.map(({ id }) => id)).toEqual(["encode"]);
    expect(planned.body.transfers.map(({ mode }) => mode === "in_place")).toEqual([true, false, false, true]);
    const done = await api.completed(body);
    const [film, still] = await api.outputs(done.id);
    const { media } = film ?? {};
    // Four of about a second, with three fades of half of the shortest.
    expect(Math.abs((media?.duration_seconds ?? 0) - 2.5)).toBeLessThan(0.2);
    expect(media?.streams.map(({ codec, width }) => [codec, width])).toEqual([
      ["h264", 64],
      ["aac", undefined],
    ]);
    expect(still?.role).toBe("thumbnail");
  }, 60_000);

  test("fails by name where one is missing, too long with the others, or no media", async () => {
    expect((await api.failed(job("a.mp4", concat("none.mp4")))).kind).toBe("input.not_found");
    expect((await api.failed(job("a.mp4", concat("list.mp4")))).kind).toMatch(/^input\./);
    const long = await api.failed(job("a.mp4", concat("long.mkv")));
    expect([long.kind, long.message]).toEqual(["limit.exceeded", expect.stringContaining("60 are allowed")]);
  }, 60_000);

  test("one is never the output, and lies in a known place", async () => {
    const refused = async (body: object) => {
      const { status, body: answer } = await api.call<ApiError>("POST", "/convert", body);
      return [status, answer.error.details?.[0]?.path];
    };
    expect(await refused(job("b.mp4", concat("a.mp4", "b.mp4")))).toEqual([400, "output_path"]);
    expect(await refused(job("b.mp4", concat("../../etc/passwd")))).toEqual([400, "operations[0].inputs[0]"]);
    expect(await refused(job("b.mp4", concat("http://169.254.169.254/x")))).toEqual([
      ...[expect.any(Number), "operations[0].inputs[0]"],
    ]);
  });
});

test("raw options reach FFmpeg where they are switched on", async () => {
  const raw = {
    type: "raw",
    options: [
      { name: "refs", value: 3 },
      { name: "video_track_timescale", value: 90_000 },
    ],
  };
  const body = job("raw.mp4", { type: "transcode", video_codec: "h264", preset: "ultrafast" }, raw);
  await api.completed(body);
  const made = join(site.storage, "raw.mp4");
  const child = Bun.spawnSync([
    ...[testEnv().ffprobe, "-v", "error", "-select_streams", "v", "-show_entries", "stream=time_base"],
    ...["-of", "csv=p=0", made],
  ]);
  expect(child.stdout.toString().trim()).toBe("1/90000");
  // The encoder writes down what it was told.
  expect(Buffer.from(await Bun.file(made).bytes()).includes(" ref=3 ")).toBe(true);
}, 60_000);
