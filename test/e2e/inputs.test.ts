/** Every kind of input becomes something sensible, or a sentence that a user understands. */
import { expect, test } from "bun:test";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import type { Failure } from "../support/api.ts";
import type { ClipSpec } from "../support/media.ts";
import { untilClean } from "../support/server.ts";
import { ffprobe, inBothProfiles, put, stored } from "./harness.ts";

interface Case {
  readonly input: string;
  readonly clip: ClipSpec;
  readonly output: string;
  readonly operations?: readonly object[];
  /** Of the output: its streams' codecs in order. */
  readonly codecs: readonly string[];
  readonly size?: readonly [width: number, height: number];
  readonly seconds?: number;
  readonly channels?: number;
}

const both = { video: {}, audio: { channels: 2 } } as const;
const sound = { audio: {} } as const;
const toH264 = [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }];
const small = [64, 48] as const;

const CASES: Readonly<Record<string, Case>> = {
  mp4: { input: "a.mp4", clip: both, output: "mp4.mkv", codecs: ["h264", "aac"], size: small, seconds: 1 },
  mov: { input: "a.mov", clip: both, output: "mov.mp4", codecs: ["h264", "aac"], size: small, seconds: 1 },
  mkv: { input: "a.mkv", clip: both, output: "mkv.mp4", codecs: ["h264", "aac"], size: small, seconds: 1 },
  webm: { input: "a.webm", clip: both, output: "webm.mp4", operations: toH264, codecs: ["h264"], size: small },
  avi: { input: "a.avi", clip: both, output: "avi.mp4", operations: toH264, codecs: ["h264"], size: small },
  ts: { input: "a.ts", clip: both, output: "ts.mp4", codecs: ["h264", "aac"], size: small, seconds: 1 },
  mp3: { input: "a.mp3", clip: sound, output: "mp3.wav", codecs: ["pcm_s16le"], seconds: 1, channels: 1 },
  wav: { input: "a.wav", clip: sound, output: "wav.flac", codecs: ["flac"], seconds: 1 },
  flac: { input: "a.flac", clip: sound, output: "flac.mp3", codecs: ["mp3"], seconds: 1 },
  ogg: { input: "a.ogg", clip: sound, output: "ogg.m4a", codecs: ["aac"], seconds: 1 },
  png: { input: "a.png", clip: {}, output: "png.jpg", codecs: ["mjpeg"], size: small },
  gif: { input: "a.gif", clip: {}, output: "gif.mp4", operations: toH264, codecs: ["h264"], size: small },
  "a portrait by its display matrix": {
    input: "portrait.mp4",
    clip: { rotation: 90 },
    output: "portrait-out.mp4",
    operations: toH264,
    codecs: ["h264"],
    size: [48, 64],
  },
  "a variable frame rate": {
    input: "vfr.mp4",
    clip: { video: { variableRate: true }, durationSeconds: 2 },
    output: "vfr-out.mp4",
    operations: toH264,
    codecs: ["h264"],
    seconds: 2,
  },
  "5.1": {
    input: "surround.mp4",
    clip: { video: {}, audio: { channels: 6 } },
    output: "surround-out.mp4",
    operations: [{ type: "transcode", video_codec: "h264", audio_codec: "aac" }],
    codecs: ["h264", "aac"],
    channels: 6,
  },
  "no audio": { input: "silent.mp4", clip: {}, output: "silent-out.mp4", operations: toH264, codecs: ["h264"] },
  "audio alone, in a video container": {
    input: "sound.mp4",
    clip: sound,
    output: "sound-out.mp3",
    codecs: ["mp3"],
    seconds: 1,
  },
  "odd dimensions": {
    input: "odd.mkv",
    clip: { container: "mkv", video: { width: 65, height: 47, pixelFormat: "yuv444p" } },
    output: "odd-out.mp4",
    operations: [{ type: "transcode", video_codec: "h264", pixel_format: "yuv420p" }],
    codecs: ["h264"],
  },
  "10 bit": {
    input: "ten.mp4",
    clip: { video: { encoder: "libx265", pixelFormat: "yuv420p10le" } },
    output: "ten-out.mp4",
    operations: toH264,
    codecs: ["h264"],
    size: small,
  },
  "a webm without a duration": {
    input: "pipe.webm",
    clip: { container: "webm", ...both, withoutDuration: true },
    output: "pipe-webm.mp4",
    operations: toH264,
    codecs: ["h264"],
    seconds: 1,
  },
  "a ts from a pipe": {
    input: "pipe.ts",
    clip: { container: "ts", ...both, withoutDuration: true },
    output: "pipe-ts.mp4",
    codecs: ["h264", "aac"],
    seconds: 1,
  },
  "an extension that lies": {
    input: "lies.avi",
    clip: both,
    output: "lies.mkv",
    codecs: ["h264", "aac"],
    size: small,
  },
};

const NAMES: readonly string[] = [
  "with two  spaces.mp4",
  `single ' and double " quotes.mp4`,
  "new\nline.mp4",
  "-leading dash.mp4",
  "ünïcödé 動画 🎬.mp4",
  "%20 percent & $(touch x) `y` ; | * ? #.mp4",
  "comma,colon:semicolon;[bracket]=equals.mp4",
];

const READABLE = /^[A-Z][^\n]{9,}[.!?)]$/;

function expectReadable({ message, kind }: Failure, folder: string): void {
  expect(message).toMatch(READABLE);
  expect(message).not.toContain(folder);
  expect(message).not.toContain("/tmp");
  expect(kind).toMatch(/^(input|limit|plan|ffmpeg|output)\.[a-z_]+$/);
}

inBothProfiles("inputs", (stage) => {
  for (const [name, wanted] of Object.entries(CASES)) {
    test(`converts ${name}`, async () => {
      const { api, site } = stage();
      const container =
        wanted.clip.container ?? (name === "an extension that lies" ? "mp4" : wanted.input.split(".")[1]);
      const input = await put(site, `in/${wanted.input}`, { container: container ?? "mp4", ...wanted.clip });
      const output = `out/${wanted.output}`;
      const job = await api.completed({ input, output, operations: wanted.operations ?? [] });
      const [first, ...rest] = await api.outputs(job.id);
      expect(rest).toEqual([]);
      const path = stored(site, output);
      expect(first).toMatchObject({ role: "primary", uri: `local://${output}`, bytes: Bun.file(path).size });
      expect(first?.sha256).toBe(new Bun.CryptoHasher("sha256").update(await Bun.file(path).bytes()).digest("hex"));
      const { streams, format } = ffprobe(path);
      expect(streams.map(({ codec_name }) => codec_name).slice(0, wanted.codecs.length)).toEqual([...wanted.codecs]);
      expect(first?.media.streams.map(({ codec }) => codec)).toHaveLength(streams.length);
      for (const stream of streams) expect(Number(stream.nb_read_packets)).toBeGreaterThan(0);
      if (wanted.size !== undefined) {
        expect([streams[0]?.width ?? 0, streams[0]?.height ?? 0]).toEqual([...wanted.size]);
      }
      if (wanted.seconds !== undefined) {
        expect(Math.abs(Number(format.duration) - wanted.seconds)).toBeLessThan(0.25);
      }
      if (wanted.channels !== undefined) {
        expect(streams.find(({ codec_type }) => codec_type === "audio")?.channels).toBe(wanted.channels);
      }
    });
  }

  for (const name of NAMES) {
    test(`takes the name ${JSON.stringify(name)}`, async () => {
      const { api, site } = stage();
      await put(site, `names/${name}`, both);
      const job = await api.completed({ input: `names/${name}`, output: `named/${name}`, operations: toH264 });
      expect(ffprobe(stored(site, `named/${name}`)).streams[0]?.codec_name).toBe("h264");
      expect(job.outputs).toHaveLength(1);
      // What the answer calls it can be used again as an input.
      const again = await api.call<{ streams: unknown[] }>("POST", "/probe", { input: job.output_path });
      expect(again.status).toBe(200);
    });
  }

  const garbage = (seed: number) => Uint8Array.from({ length: 50_000 }, (_, i) => (i * seed * 2_654_435_761) >>> 11);
  const BROKEN: Readonly<Record<string, { name: string; content: string | Uint8Array; kind: RegExp }>> = {
    garbage: { name: "garbage.mp4", content: garbage(7), kind: /^input\.(unreadable|unsupported)$/ },
    "an empty file": { name: "empty.mp4", content: "", kind: /^input\.unreadable$/ },
    "a text": {
      name: "text.mp4",
      content: "Once upon a time.\n".repeat(100),
      kind: /^input\.(unreadable|unsupported)$/,
    },
    "a playlist named mp4": {
      name: "x.mp4",
      content: "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
      kind: /^input\.(unreadable|unsupported)$/,
    },
    "a concat script": {
      name: "concat.mp4",
      content: "ffconcat version 1.0\nfile /etc/passwd\n",
      kind: /^input\.(unreadable|unsupported)$/,
    },
  };
  for (const [what, { name, content, kind }] of Object.entries(BROKEN)) {
    test(`refuses ${what} in a sentence`, async () => {
      const { api, site } = stage();
      await Bun.write(stored(site, `broken/${name}`), content);
      const error = await api.failed({ input: `broken/${name}`, output: `broken-out/${name}`, operations: toH264 });
      expectReadable(error, site.folder);
      expect(error.kind).toMatch(kind);
      expect(error.retryable).toBe(false);
      expect(await Bun.file(stored(site, `broken-out/${name}`)).exists()).toBe(false);
    });
  }

  test("refuses an mp4 that was cut off before its index", async () => {
    const { api, site } = stage();
    const path = stored(site, await put(site, "broken/cut.mp4", { ...both, durationSeconds: 3 }));
    await truncate(path, Math.floor(Bun.file(path).size / 2));
    const error = await api.failed({ input: "broken/cut.mp4", output: "cut.mp4", operations: toH264 });
    expectReadable(error, site.folder);
    expect(error.kind).toBe("input.unreadable");
    expect(await Bun.file(join(site.storage, "cut.mp4")).exists()).toBe(false);
  });

  test("refuses an input that is not there", async () => {
    const { api } = stage();
    const answer = await api.call<{ error?: { message: string } }>("POST", "/convert", {
      input: "nowhere.mp4",
      output: "nowhere-out.mp4",
    });
    if (answer.status === 201) {
      const { id } = answer.body as unknown as { id: string };
      expect((await api.ended(id)).error).toMatchObject({ kind: "input.not_found" });
    } else {
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
    }
  });

  test("audio alone cannot become a picture, and says so", async () => {
    const { api, site } = stage();
    await put(site, "in/alone.wav", { container: "wav", ...sound });
    const answer = await api.call<{ id: string; error: { message: string } }>("POST", "/convert", {
      input: "in/alone.wav",
      output: "alone.png",
    });
    const message =
      answer.status === 201 ? (await api.ended(answer.body.id)).error?.message : answer.body.error.message;
    expect(message ?? "").toMatch(READABLE);
  });

  test("one job makes several outputs, each where it says", async () => {
    const { api, site } = stage();
    await put(site, "in/several.mp4", both);
    const operations = [...toH264, { type: "thumbnail", time: 0.5 }];
    const job = await api.completed({ input: "in/several.mp4", output: "several/out.mp4", operations });
    const outputs = await api.outputs(job.id);
    expect(outputs.map(({ role }) => role)).toEqual(["primary", "thumbnail"]);
    for (const { uri, bytes } of outputs) {
      const path = stored(site, uri.replace("local://", ""));
      expect(Bun.file(path).size).toBe(bytes);
      expect(ffprobe(path).streams[0]?.codec_type).toBe("video");
    }
  });

  test("nothing is left behind", async () => {
    await untilClean(stage().site);
  });
});
