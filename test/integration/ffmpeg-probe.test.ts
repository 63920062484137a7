/** Real ffprobes on real files, odd ones and hostile ones. */
import { describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { probeFile } from "../../src/ffmpeg/probe.ts";
import { findTools } from "../../src/ffmpeg/tools.ts";
import { ALLOWED_DEMUXERS } from "../../src/media/input-formats.ts";
import type { MediaLimits } from "../../src/media/types.ts";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, copyClip, makeClip, truncateFile } from "../support/media.ts";
import { bestRunner } from "../support/sandbox.ts";
import { failureOf, LIMITS, VERSIONS } from "../support/steps.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const runner = bestRunner();

const CLIPS: readonly [string, ClipSpec, object][] = [
  ["mp4", { audio: {}, video: {} }, { container: "mp4", durationSeconds: expect.closeTo(1, 1), warnings: [] }],
  ["mov", { container: "mov" }, { container: "mov" }],
  ["mkv", { container: "mkv" }, { container: "mkv" }],
  ["webm", { container: "webm" }, { container: "webm", streams: [expect.objectContaining({ codec: "vp9" })] }],
  ["avi", { container: "avi" }, { container: "avi" }],
  ["ts", { container: "ts" }, { container: "ts" }],
  [
    "mp3",
    { container: "mp3" },
    { container: "mp3", streams: [expect.objectContaining({ kind: "audio", channels: 1 })] },
  ],
  ["wav", { container: "wav" }, { container: "wav", durationSeconds: 1 }],
  ["flac", { container: "flac" }, { container: "flac" }],
  ["ogg", { container: "ogg" }, { container: "ogg" }],
  [
    "png",
    { container: "png" },
    { container: "png", durationSeconds: null, streams: [expect.objectContaining({ still: true })] },
  ],
  [
    "jpg",
    { container: "jpg" },
    { container: "jpg", streams: [expect.objectContaining({ still: true, codec: "mjpeg" })] },
  ],
  ["gif", { container: "gif" }, { container: "gif", durationSeconds: 1 }],
  ["portrait", { rotation: 90 }, { streams: [expect.objectContaining({ rotation: 90, width: 48, height: 64 })] }],
  ["upside down", { rotation: 180 }, { streams: [expect.objectContaining({ rotation: 180, width: 64, height: 48 })] }],
  [
    "variable rate",
    { durationSeconds: 2, video: { variableRate: true } },
    { streams: [expect.objectContaining({ isVariableFps: true })] },
  ],
  [
    "10 bit HDR",
    { video: { encoder: "libx265", pixelFormat: "yuv420p10le", hdr: true } },
    { streams: [expect.objectContaining({ hdr: "hdr10", bitDepth: 10 })] },
  ],
  [
    "odd size",
    { video: { encoder: "libx265", width: 65, height: 47, pixelFormat: "yuv444p" } },
    { streams: [expect.objectContaining({ width: 65, height: 47 })] },
  ],
  [
    "5.1",
    { video: null, audio: { channels: 6 }, container: "m4a" },
    { container: "m4a", streams: [expect.objectContaining({ channels: 6, channelLayout: "5.1" })] },
  ],
  [
    "no length",
    { container: "mkv", withoutDuration: true },
    { durationSeconds: null, warnings: ["The file does not say how long it is."] },
  ],
  ...(["mp4", "mkv", "webm", "ts"] as const).map((container): (typeof CLIPS)[number] => [
    `a late start in ${container}`,
    { container, durationSeconds: 2, video: {}, outputArgs: ["-output_ts_offset", "7"] },
    { durationSeconds: expect.closeTo(2, 0), startSeconds: expect.closeTo(container === "ts" ? 8.4 : 7, 0) },
  ]),
  [
    "interlaced",
    { container: "ts", video: { encoder: "mpeg2video", interlaced: true } },
    { streams: [expect.objectContaining({ interlaced: true, isVariableFps: false })] },
  ],
  [
    "wide pixels",
    { video: { sampleAspect: "4/3" } },
    { streams: [expect.objectContaining({ sampleAspect: { num: 4, den: 3 } })] },
  ],
];

for (const version of VERSIONS) {
  const probe = async (file: string, limits: MediaLimits | null = LIMITS) =>
    probeFile({ runner: await runner, tools: version.tools(), file, inputFormats: ALLOWED_DEMUXERS, limits });

  describe(`ffprobe of the ${version.name} FFmpeg`, () => {
    test.each(CLIPS)("knows a clip: %s", async (_name, spec, wanted) => {
      expect(await probe(await makeClip(spec))).toMatchObject(wanted);
    });

    test("counts tracks, covers, subtitles and their kinds", async () => {
      const media = await probe(await makeClip({ video: {}, audio: {}, audioTracks: 2, cover: true, subtitles: true }));
      const kinds = media.streams
        .map((one) => (one.kind === "video" && one.attachedPicture ? "cover" : one.kind))
        .sort();
      expect(kinds).toEqual(["audio", "audio", "cover", "subtitle", "video"]);
    });

    test("goes by the content, never by the name", async () => {
      const folder = await makeTempDir("names");
      for (const name of ["0", "a b'\"\n.mkv", "-i", "x.m3u8", "concat:y", "ü.txt"]) {
        expect((await probe(await copyClip(join(folder, name)))).container).toBe("mp4");
      }
    });

    test("refuses what is no media, with a sentence and without a path", async () => {
      const folder = await makeTempDir("hostile");
      const file = async (name: string, content: string | Uint8Array) => {
        await Bun.write(join(folder, name), content);
        return join(folder, name);
      };
      const noise = new Uint8Array(4_000).map((_, index) => (index * 7919 + (index >> 3) * 31) % 251);
      await mkdir(join(folder, "folder"));
      const cases: readonly [string, RegExp][] = [
        [await file("empty", ""), /^input\.unreadable: The input is empty\.$/],
        [await file("text", "hello world\n".repeat(50)), /^input\.(unreadable|unsupported): The input /],
        [await file("noise", noise), /^input\.(unreadable|unsupported): The input /],
        [join(folder, "folder"), /^input\.unreadable: The input is not a file\.$/],
        [join(folder, "nothing"), /^input\.not_found: The input does not exist\.$/],
      ];
      for (const [path, wanted] of cases) {
        const { kind, publicMessage, evidence } = await failureOf(probe(path));
        expect(`${kind}: ${publicMessage}`).toMatch(wanted);
        expect(`${publicMessage} ${evidence}`).not.toContain(folder);
      }
    });

    test("says that a file was cut off", async () => {
      const path = await copyClip(join(await makeTempDir("cut"), "0"));
      await truncateFile(path, 0.6);
      const failure = await failureOf(probe(path));
      expect(failure.publicMessage).toBe("The input is not a complete file: its index is missing.");
    });

    test("opens no playlist or script, whatever it is named", async () => {
      const folder = await makeTempDir("playlists");
      const clip = await copyClip(join(folder, "secret.mp4"));
      const scripts: Record<string, string> = {
        hls: `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://${clip}\n#EXT-X-ENDLIST\n`,
        concat: `ffconcat version 1.0\nfile '${clip}'\n`,
        sdp: "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        dash: `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>file://${clip}</BaseURL></Representation></AdaptationSet></Period></MPD>`,
        svg: `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file://${clip}"/></svg>`,
      };
      for (const [name, script] of Object.entries(scripts)) {
        for (const extension of ["", ".mp4", ".m3u8"]) {
          await Bun.write(join(folder, name + extension), script);
          const { kind } = await failureOf(probe(join(folder, name + extension)));
          expect(`${name}${extension}: ${kind}`).toMatch(/: input\.(unreadable|unsupported)$/);
        }
      }
    });

    test("holds an input to the limits", async () => {
      const clip = await makeClip();
      const kindOf = async (limits: Partial<MediaLimits>) =>
        (await failureOf(probe(clip, { ...LIMITS, ...limits }))).kind;
      expect(await kindOf({ maxWidth: 32, maxHeight: 32 })).toBe("limit.exceeded");
      expect(await kindOf({ maxDurationSeconds: 0.5 })).toBe("limit.exceeded");
      expect(await kindOf({ maxStreams: 0 })).toBe("limit.exceeded");
      expect(await kindOf({ maxInputBytes: 100 })).toBe("input.too_large");
    });

    test("is stopped by an abort", async () => {
      const reason = new Error("no longer wanted");
      const file = await makeClip();
      const controller = new AbortController();
      const tools = version.tools();
      const { signal } = controller;
      const probing = probeFile({
        runner: await runner,
        tools,
        file,
        inputFormats: ALLOWED_DEMUXERS,
        limits: LIMITS,
        signal,
      });
      controller.abort(reason);
      await expect(probing).rejects.toBe(reason);
    });
  });
}

test("missing programs are named by their setting and how to install them", async () => {
  expect(await findTools({ ffmpegPath: testEnv().ffmpeg9, ffprobePath: null })).toMatchObject({
    ffmpegPath: testEnv().ffmpeg9,
  });
  const failure = await failureOf(findTools({ ffmpegPath: "/nowhere/ffmpeg", ffprobePath: null }));
  expect(failure).toMatchObject({ kind: "service.unavailable", publicMessage: expect.stringContaining("FFMPEG_PATH") });
  await expect(findTools({ ffmpegPath: "ffmpeg", ffprobePath: null })).rejects.toThrow("FFMPEG_PATH");
});
