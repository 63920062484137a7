/** `POST /stream` through a whole server: what a client asks, gets, and may fetch. */
import { beforeAll, describe, expect, test } from "bun:test";
import { createDecipheriv } from "node:crypto";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { afterFile } from "../support/cleanup.ts";
import { copyClip } from "../support/media.ts";
import { serveKnowing } from "../support/serve-knowing.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const KEY = "0123456789abcdef0123";
const WAIT = { timeoutMs: 40_000, intervalMs: 100 };
const VARIANTS = [
  { height: 120, bitrate: "150k" },
  { height: 60, bitrate: "60k" },
];

let base = "";
let files = "";

beforeAll(async () => {
  const folder = await makeTempDir("streaming");
  files = join(folder, "files");
  await mkdir(files);
  await copyClip(join(files, "in.mp4"), { durationSeconds: 2, video: { width: 160, height: 120 }, audio: {} });
  const config = loadConfig({
    cwd: folder,
    env: {
      ...{ RENDIFF_ENV: "test", API_HOST: "127.0.0.1", API_PORT: "0", SANDBOX: "auto", DRAIN_DELAY: "0s" },
      ...{ DATA_DIR: join(folder, "data"), STORAGE_PATH: files, TEMP_STORAGE: join(folder, "work") },
      ...{ ADMIN_API_KEYS: KEY, WORKER_CONCURRENCY: "1" },
    },
  });
  const server = await serveKnowing(config, silentLogger());
  afterFile(() => server.drain());
  base = `${server.url.replace(/\/$/, "")}/api/v1`;
}, 60_000);

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is looked at field by field.
  readonly json: any;
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { "x-api-key": KEY, "content-type": "application/json" };
  const answer = await fetch(`${base}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: await answer.json() };
}

const post = (body: object, path = "/stream"): Promise<Answer> => call("POST", path, { input_path: "in.mp4", ...body });

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

describe("POST /stream", () => {
  test("packages, publishes and lists all that it made", async () => {
    const body = { output_path: "out/film/", format: "both", segment_duration: 1, variants: VARIANTS };
    const job = await finished(await post(body));
    expect([job.status, job.error, job.type]).toEqual(["completed", null, "stream"]);
    expect(job.output_path).toBe("local://out/film");
    const { json } = await call("GET", `/jobs/${job.id}/outputs`);
    const listed = (json.items ?? json).map(({ uri }: { uri: string }) => uri.replace("local://out/film/", ""));
    const there = await readdir(join(files, "out/film"), { recursive: true, withFileTypes: true });
    const found = there.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
    expect(found.map((path) => path.replace(join(files, "out/film/"), "")).sort()).toEqual(listed.sort());
    expect(listed).toContain("master.m3u8");
    expect(listed).toContain("manifest.mpd");
    expect(listed.filter((one: string) => one.endsWith(".m4s"))).toHaveLength(6);

    const again = await finished(await call("POST", `/jobs/${job.id}/retry`));
    expect(again.status).toBe("completed");
    const kept = await finished(await post({ ...body, options: { overwrite: false } }));
    expect(kept).toMatchObject({ status: "failed", error: { kind: "output.exists" } });
    const deleted = await call("DELETE", `/jobs/${again.id}/outputs`);
    expect(deleted.status).toBe(200);
    const left = await readdir(join(files, "out/film"), { recursive: true });
    expect(left.filter((one) => one.includes(again.id) && one.endsWith(".m4s"))).toEqual([]);
  }, 90_000);

  test("encrypts with a key that it serves to whoever has the playlist", async () => {
    const nested = { type: "hls", options: { segment_duration: 1, variants: VARIANTS.slice(1) } };
    const job = await finished(await post({ ...nested, output: "out/secret", container: "ts", encryption: "aes-128" }));
    expect([job.status, job.error]).toEqual(["completed", null]);
    const names = (await readdir(join(files, "out/secret"), { recursive: true })).sort();
    expect(names.filter((name) => name.endsWith(".key"))).toEqual([]);
    const playlist = names.find((name) => name.endsWith("v0.m3u8")) ?? "";
    const uri = /URI="([^"]+)"/.exec(await Bun.file(join(files, "out/secret", playlist)).text())?.[1] ?? "";
    expect(uri).toStartWith(`${base}/keys/`);
    const answer = await fetch(uri);
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "private, no-store"]);
    const cipher = createDecipheriv("aes-128-cbc", await answer.bytes(), Buffer.alloc(16));
    const first = await Bun.file(join(files, "out/secret", playlist.replace("v0.m3u8", "v0/1.ts"))).bytes();
    const plain = Buffer.concat([cipher.update(first), cipher.final()]);
    expect([plain[0], plain[188]]).toEqual([0x47, 0x47]);
    expect(JSON.stringify(job)).not.toContain(uri);
    for (const wrong of ["x", uri.slice(uri.lastIndexOf("/") + 1).toUpperCase(), "%00"])
      expect((await fetch(`${base}/keys/${wrong}`)).status).toBe(404);
  }, 60_000);

  test("makes renditions of captions, in the film's time and as segments of WebVTT", async () => {
    const line = "1\n00:00:00,600 --> 00:00:01,400\nGrüße, <b>world</b>\n";
    await Bun.write(join(files, "de.srt"), line);
    await Bun.write(join(files, "en.vtt"), "WEBVTT\n\n00:00.200 --> 00:01.900\nHello\n");
    const captions = [
      { path: "de.srt", language: "de" },
      { path: "local://en.vtt", language: "en" },
    ];
    const body = { format: "both", segment_duration: 1, variants: VARIANTS.slice(1), captions };
    const operations = [
      { type: "trim", start: 0.5 },
      { type: "stream", ...body },
    ];
    for (const [request, path] of [
      [{ output_path: "out/captions", ...body }, "/stream"],
      [{ output_path: "out/cut", operations }, "/convert"],
    ] as const) {
      const job = await finished(await post(request, path));
      expect([job.status, job.error]).toEqual(["completed", null]);
    }
    const read = async (folder: string, id: string): Promise<string> => {
      const names = await readdir(join(files, folder), { recursive: true });
      const parts = names.filter((name) => name.includes(`/${id}/`)).sort();
      return (await Promise.all(parts.map((name) => Bun.file(join(files, folder, name)).text()))).join("\n");
    };
    expect(await read("out/captions", "t0")).toMatch(/00:00:00.600 --> 00:00:01.400.*\nGrüße, <b>world<\/b>/);
    expect(await read("out/captions", "t1")).toContain("Hello");
    expect(await read("out/cut", "t0")).toContain("00:00:00.100 --> 00:00:00.900");
    const master = await Bun.file(join(files, "out/captions/master.m3u8")).text();
    expect(master).toContain('LANGUAGE="de"');
    await Bun.write(join(files, "wrong.srt"), "nothing of the kind");
    const wrong = await finished(await post({ output_path: "o", captions: [{ path: "wrong.srt", language: "de" }] }));
    expect(wrong).toMatchObject({ status: "failed", error: { kind: expect.stringMatching(/^input\./) } });
  }, 90_000);

  test("as an operation, after a trim and beside nothing that it cannot stand beside", async () => {
    const stream = { type: "stream", params: { segment_duration: 1, variants: VARIANTS.slice(1) } };
    const body = { output_path: "out/part", operations: [{ type: "trim", start: 0.5 }, stream] };
    const job = await finished(await post(body, "/convert"));
    expect([job.status, job.error, job.type]).toEqual(["completed", null, "convert"]);
    const unlike = await post({ output_path: "out/x", operations: [{ type: "thumbnail" }, stream] }, "/convert");
    expect(unlike).toMatchObject({ status: 422, json: { error: { details: [{ path: "operations[0].type" }] } } });
    const forged = { ...stream, params: { key_base: "http://elsewhere/" } };
    expect((await post({ output_path: "out/x", operations: [forged] }, "/convert")).status).toBe(400);
  }, 60_000);

  test("shows its plan: the ladder, both programs' arguments, and no key", async () => {
    const { status, json } = await post(
      { output_path: "out/x", encryption: "cbcs", key_uri: "https://k/1" },
      "/stream?dry_run=true",
    );
    expect(status).toBe(200);
    expect(json.steps.map(({ id }: { id: string }) => id)).toEqual(["encode", "package"]);
    expect(json.package).toMatchObject({
      renditions: [{ id: "v0", width: 160, height: 120 }, { id: "a0" }],
      encryption: "cbcs",
    });
    expect(JSON.stringify(json)).not.toContain("--keys");
  }, 30_000);

  const refused: readonly [string, object, number, string][] = [
    ["no place", {}, 400, "output_path"],
    ["the input itself", { output_path: "in.mp4" }, 400, "output_path"],
    ["two formats", { output_path: "o", format: "hls", type: "dash" }, 400, "type"],
    ["ts for DASH", { output_path: "o", format: "dash", container: "ts" }, 400, "container"],
    ["aes-128 in CMAF", { output_path: "o", encryption: "aes-128" }, 400, "encryption"],
    ["cbcs in ts", { output_path: "o", container: "ts", encryption: "cbcs" }, 400, "encryption"],
    [
      "av1 in ts",
      { output_path: "o", container: "ts", variants: [{ height: 60, codec: "av1" }] },
      400,
      "variants[0].codec",
    ],
    [
      "a preset of another encoder",
      { output_path: "o", variants: [{ height: 60, codec: "vp9", preset: "veryfast" }] },
      400,
      "variants[0].preset",
    ],
    ["a key URI with a quote", { output_path: "o", encryption: "cbcs", key_uri: 'https://x/"y' }, 400, "key_uri"],
    ["a key for nothing", { output_path: "o", key_uri: "https://x/y" }, 400, "key_uri"],
    ["too long segments", { output_path: "o", segment_duration: 60 }, 400, "segment_duration"],
    [
      "too many variants",
      { output_path: "o", variants: Array.from({ length: 11 }, () => ({ height: 60 })) },
      400,
      "variants",
    ],
    ["a wrong field", { output_path: "o", varients: [] }, 400, "varients"],
    ["a language that is none", { output_path: "o", audio: [{ language: 'en",URI="x' }] }, 400, "audio[0].language"],
    ["key frames for DASH alone", { output_path: "o", format: "dash", thumbnails: true }, 422, "thumbnails"],
  ];
  for (const [name, body, status, path] of refused) {
    test(`refuses ${name}`, async () => {
      const answer = await post(body);
      expect([answer.status, answer.json.error.details[0].path]).toEqual([status, path]);
    });
  }

  test("fails by name what only the input can tell", async () => {
    const bodies: readonly [object, RegExp][] = [
      [{ variants: [{ height: 240 }] }, /never larger/],
      [
        {
          variants: [
            { height: 120, fps: 25 },
            { height: 60, fps: 15 },
          ],
        },
        /no instants in common/,
      ],
      [{ audio: [{ language: "de" }, { language: "de" }], variants: VARIANTS }, /./],
    ];
    for (const [body, message] of bodies) {
      const { status, json } = await post({ output_path: "o", ...body }, "/stream?dry_run=true");
      if (status !== 200) expect(json.error.message).toMatch(message);
      else expect(json.package.renditions).toHaveLength(4);
    }
  }, 30_000);
});
