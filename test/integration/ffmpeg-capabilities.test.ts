/** What both FFmpegs can do, by trying; and that it is tried once. */
import { describe, expect, test } from "bun:test";
import { chmod, readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { exerciseCapabilities } from "../../src/ffmpeg/capabilities.ts";
import { parseCodecList, parseFilterList, parseFormatList, parseVersion } from "../../src/ffmpeg/capability-lists.ts";
import { FILTER_TRIES } from "../../src/ffmpeg/capability-tries.ts";
import { exercise } from "../../src/ffmpeg/exercise.ts";
import type { ProcessRequest, ProcessRunner } from "../../src/process/port.ts";
import { bestRunner } from "../support/sandbox.ts";
import { failureOf, VERSIONS } from "../support/steps.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const NEEDED = ["libx264", "libx265", "libvpx", "libvpx-vp9", "libsvtav1", "prores_ks", "mpeg2video", "gif", "libwebp"];
const NEEDED_SOUND = [
  "aac",
  "libmp3lame",
  "libopus",
  "libvorbis",
  "flac",
  "ac3",
  "eac3",
  "alac",
  "pcm_s16le",
  "pcm_s24le",
];
const NEEDED_TEXT = ["mov_text", "webvtt", "ass", "subrip"];

/** Counts what is started. */
function counted(runner: ProcessRunner) {
  let starts = 0;
  const start = (request: ProcessRequest) => {
    starts += 1;
    return runner.start(request);
  };
  return { runner: { sandbox: runner.sandbox, start }, starts: () => starts };
}

for (const version of VERSIONS) {
  describe(`the ${version.name} FFmpeg`, () => {
    test("is exercised, and a second time read from the cache without a process", async () => {
      const cacheDir = join(await makeTempDir("capabilities"), "cache");
      const tools = version.tools();
      const { runner, starts } = counted(await bestRunner());
      const first = await exerciseCapabilities({ runner, tools, cacheDir });
      for (const name of [...NEEDED, ...NEEDED_SOUND, ...NEEDED_TEXT]) {
        expect({ name, ability: first.encoders[name] }).toEqual({ name, ability: { ok: true } });
      }
      for (const name of ["mp4", "mov", "matroska", "webm", "avi", "mpegts", "mp3", "wav", "flac", "ogg", "gif"]) {
        expect({ name, ability: first.muxers[name] }).toEqual({ name, ability: { ok: true } });
      }
      for (const { name } of FILTER_TRIES) {
        expect({ name, ability: first.filters[name] }).toEqual({ name, ability: { ok: true } });
      }
      expect(first.decoders).toContain("h264");
      expect(first.inputFormats).toEqual(expect.arrayContaining(["mov", "matroska", "mpegts", "png_pipe", "wav"]));
      for (const name of ["hls", "concat", "sdp", "image2", "lavfi", "dash"])
        expect(first.inputFormats).not.toContain(name);
      expect(first.ffmpegMajor).toBe(
        version.name === "static" ? 9 : parseVersion(`ffmpeg version ${first.ffmpegVersion}`).major,
      );

      const started = starts();
      const startedAt = performance.now();
      expect(await exerciseCapabilities({ runner, tools, cacheDir })).toEqual(first);
      expect(performance.now() - startedAt).toBeLessThan(100);
      expect(starts()).toBe(started);
      expect(await readdir(cacheDir)).toHaveLength(1);
    });

    test("says why hardware cannot be used where there is none", async () => {
      const cacheDir = await makeTempDir("capabilities");
      const tools = version.tools();
      const { accelerators, encoders } = await exerciseCapabilities({ runner: await bestRunner(), tools, cacheDir });
      for (const name of ["nvenc", "qsv", "vaapi", "amf", "videotoolbox"]) expect(accelerators[name]).toBeDefined();
      for (const ability of [...Object.values(accelerators), ...Object.values(encoders)]) {
        if (!ability.ok) expect(ability.reason).toMatch(/\S{3,}/);
      }
    });

    test("blames only the encoder that fails, when one of many does", async () => {
      const workDir = await makeTempDir("bench");
      await Bun.write(join(workDir, "line.srt"), "1\n00:00:00,000 --> 00:00:01,000\nA line.\n");
      const bench = { runner: await bestRunner(), ffmpegPath: version.tools().ffmpegPath, workDir };
      const to = (name: string, ...args: string[]) => ({ name, args: ["-map", "0:v", ...args, "-f", "null", "-"] });
      const tries = [to("png", "-c:v", "png"), to("bad", "-c:v", "nosuch"), to("absent"), to("gif", "-c:v", "gif")];
      expect(await exercise(bench, tries, new Set(["png", "bad", "gif"]))).toEqual({
        png: { ok: true },
        bad: { ok: false, reason: expect.stringContaining("nosuch") },
        absent: { ok: false, reason: "this FFmpeg was built without absent" },
        gif: { ok: true },
      });
    });
  });
}

/** Programs that print what FFmpeg prints and do nothing. */
async function makeStandIns(folder: string) {
  const script = `#!/bin/sh\necho "ffmpeg version 7.1" >&2\necho "ffprobe version 7.1"\necho " V....D png  PNG"\n`;
  const paths = { ffmpegPath: join(folder, "ffmpeg"), ffprobePath: join(folder, "ffprobe") };
  for (const path of Object.values(paths)) {
    await Bun.write(path, script);
    await chmod(path, 0o755);
  }
  return paths;
}

describe("the cache", () => {
  test("is not used for another program or another device, and not when it is damaged", async () => {
    const folder = await makeTempDir("cache");
    const tools = await makeStandIns(folder);
    const runner = { ...(await bestRunner()), sandbox: { mode: "none", reason: "a script needs a shell" } } as const;
    const plain: ProcessRunner = { ...runner, start: (request) => runner.start({ ...request, sandbox: "off" }) };
    let devices: readonly string[] = [];
    const isThere = (device: string): boolean => devices.includes(device);
    const again = async () => {
      const { runner: one, starts } = counted(plain);
      const capabilities = await exerciseCapabilities({ runner: one, tools, cacheDir: folder, isThere });
      return { starts: starts(), capabilities };
    };
    const first = await again();
    expect(first.capabilities).toMatchObject({
      ...{ ffmpegVersion: "7.1", ffmpegMajor: 7, ffprobeVersion: "7.1" },
      sandbox: { ok: false, reason: "a script needs a shell" },
    });
    expect(first.starts).toBeGreaterThan(0);
    expect((await again()).starts).toBe(0);
    for (const changed of [["/dev/nvidia0"], []]) {
      devices = changed;
      expect((await again()).starts).toBeGreaterThan(0);
      expect((await again()).starts).toBe(0);
    }
    await utimes(tools.ffmpegPath, new Date(), new Date(1_000_000));
    expect((await again()).starts).toBeGreaterThan(0);
    const [name] = (await readdir(folder)).filter((one) => one.startsWith("capabilities-"));
    await Bun.write(join(folder, name ?? ""), '{"key":');
    expect((await again()).starts).toBeGreaterThan(0);
    expect((await again()).starts).toBe(0);
  });

  test("is not needed: a folder that cannot be written only makes the next start slower", async () => {
    const folder = await makeTempDir("cache");
    const tools = await makeStandIns(folder);
    await Bun.write(join(folder, "file"), "");
    const runner = await bestRunner();
    const plain: ProcessRunner = { ...runner, start: (request) => runner.start({ ...request, sandbox: "off" }) };
    const capabilities = await exerciseCapabilities({ runner: plain, tools, cacheDir: join(folder, "file") });
    expect(capabilities.ffmpegMajor).toBe(7);
  });

  test("holds nothing when FFmpeg does not run", async () => {
    const folder = await makeTempDir("cache");
    const tools = await makeStandIns(folder);
    await Bun.write(tools.ffmpegPath, "#!/bin/sh\nexit 127\n");
    const runner = await bestRunner();
    const plain: ProcessRunner = { ...runner, start: (request) => runner.start({ ...request, sandbox: "off" }) };
    const failure = await failureOf(exerciseCapabilities({ runner: plain, tools, cacheDir: folder }));
    expect(failure).toMatchObject({ kind: "service.unavailable", publicMessage: expect.not.stringContaining(folder) });
  });
});

describe("lists", () => {
  test("are read as 5.1 and as 9.0 print them", () => {
    expect(
      parseCodecList(" V..... = Video\n ------\n V....D libx264   H.264\n A....D aac       AAC\n S..... ass  ASS\n"),
    ).toEqual([...["libx264", "aac", "ass"]]);
    expect(parseFilterList("  T.. = Timeline support\n ... scale   V->V  Scale.\n ..C volume A->A V\n")).toEqual([
      "scale",
      "volume",
    ]);
    expect(parseFilterList("  | = Source or sink filter\n TS aap  AA->A  Apply\n .. nullsrc  |->V  Null\n")).toEqual([
      "aap",
      "nullsrc",
    ]);
    expect(parseFormatList(" D. = Demuxing\n --\n D  mov,mp4   QuickTime\n  E mp4   MP4\n DE avi  AVI\n")).toEqual({
      ...{ demuxers: ["mov", "mp4", "avi"], muxers: ["mp4", "avi"] },
    });
    expect(parseFormatList(" D d lavfi  Libavfilter\n DE  ac3  raw AC-3\n")).toEqual({
      demuxers: ["ac3"],
      muxers: ["ac3"],
    });
  });

  test.each([
    ["ffmpeg version 5.1.9-0+deb12u1 Copyright", "5.1.9-0+deb12u1", 5],
    ["ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright", "n9.0.2-17-g2a571b6068-20260930", 9],
    ["ffprobe version N-66595-gc2b38619c0-static https", "N-66595-gc2b38619c0-static", 9],
    ["nothing", "unknown", 9],
  ])("of versions: %s", (banner, text, major) => expect(parseVersion(banner)).toEqual({ text, major }));
});
