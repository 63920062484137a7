/** Packages for adaptive players under both FFmpegs: what is in them, and that nothing broken passes for whole. */
import { describe, expect, test } from "bun:test";
import { createDecipheriv } from "node:crypto";
import { mkdir, readdir, rename, rm, symlink, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { PlanStep } from "../../src/media/types.ts";
import { testEnv } from "../support/env.ts";
import { KEY, makePackage, type PackageSpec } from "../support/packages.ts";
import { failureOf, VERSIONS } from "../support/steps.ts";

const CLIP = {
  durationSeconds: 3,
  video: { width: 160, height: 120 },
  audio: { channels: 2 },
} as const;
const TWO = [
  { height: 120, bitrate: 150_000 },
  { height: 60, bitrate: 60_000 },
];
const STREAM = { format: "both", segment_duration: 1, variants: TWO };

const namesOf = (outputs: readonly { readonly output: { readonly name: string | null } }[]): (string | null)[] =>
  outputs.map(({ output }) => output.name);

VERSIONS.forEach(({ name }, index) => {
  const version = index as 0 | 1;
  const make = (stream: Readonly<Record<string, unknown>>, more: Partial<PackageSpec> = {}) =>
    makePackage({ clip: CLIP, version, stream: { ...STREAM, ...stream }, ...more });

  describe(`the ${name} FFmpeg`, () => {
    test("makes one set of segments for both manifests, published with its entries last", async () => {
      const made = await make({ thumbnails: true });
      const outputs = await made.finish();
      const names = namesOf(outputs);
      expect(names.slice(-2)).toEqual(["film/master.m3u8", "film/manifest.mpd"]);
      expect(names.filter((one) => one?.endsWith(".m4s"))).toHaveLength(9);
      expect(names.filter((one) => one?.endsWith("-keys.m3u8"))).toHaveLength(2);
      for (const one of names.slice(0, -2)) expect(one).toStartWith("film/attempt-1/");
      expect(outputs.at(-1)?.media).toMatchObject({ container: "dash", durationSeconds: expect.closeTo(3, 1) });
      expect(outputs.at(-1)?.media.streams.map(({ kind }) => kind)).toEqual(["video", "video", "audio"]);
      const manifest = await Bun.file(join(made.folder, "manifest.mpd")).text();
      const master = await Bun.file(join(made.folder, "master.m3u8")).text();
      expect(manifest).toContain("attempt-1/v0/$Number$.m4s");
      expect(master).toContain("FRAME-RATE=25.000");
      expect(master).toContain("I-FRAME-STREAM-INF");
    }, 30_000);

    test("makes transport streams, encrypted as a whole with a key that only its own output holds", async () => {
      const made = await make({ format: "hls", container: "ts", encryption: "aes-128", key_uri: KEY.uri });
      const [key, ...rest] = await made.finish();
      expect(key?.output).toMatchObject({ role: "key", name: "film.key" });
      expect(await Bun.file(join(made.workDir, key?.output.file ?? "")).bytes()).toEqual(KEY.bytes);
      expect(namesOf(rest).filter((one) => one?.endsWith(".ts"))).toHaveLength(9);
      expect(await readdir(made.folder, { recursive: true })).not.toContain("film.key");
      const playlist = await Bun.file(join(made.folder, "attempt-1/v1.m3u8")).text();
      expect(playlist).toContain(`#EXT-X-KEY:METHOD=AES-128,URI="${KEY.uri}"\n#EXTINF`);
      const second = await Bun.file(join(made.folder, "attempt-1/v1/2.ts")).bytes();
      const iv = Buffer.alloc(16);
      iv.writeUInt8(1, 15);
      const cipher = createDecipheriv("aes-128-cbc", KEY.bytes, iv);
      const plain = Buffer.concat([cipher.update(second), cipher.final()]);
      expect([plain[0], plain[188], plain.length % 188]).toEqual([0x47, 0x47, 0]);
    }, 30_000);

    test("packages upright, odd, fast and silent films, and sound alone", async () => {
      const odd = {
        ...CLIP,
        audio: null,
        video: { width: 91, height: 161, fps: "60000/1001", pixelFormat: "yuv444p" },
      };
      const upright = await (await make({ variants: undefined }, { clip: odd })).finish();
      expect(upright.at(-1)?.media.streams).toMatchObject([{ kind: "video", width: 90, height: 160 }]);
      const sound = await make(
        { variants: undefined, format: "hls" },
        { clip: { ...CLIP, video: null, container: "m4a" } },
      );
      expect((await sound.finish()).at(-1)?.media.streams).toMatchObject([{ kind: "audio", channels: 2 }]);
    }, 30_000);

    test("aligns the key frames of every codec at a preset, and offers each sound beside each picture", async () => {
      const variants = [
        { height: 120, codec: "h265", preset: "ultrafast" },
        { height: 120, codec: "vp9", preset: 8 },
        { height: 90, codec: "av1", preset: 12 },
        { height: 60, fps: 12.5, preset: "veryfast" },
      ];
      const audio = [{ codec: "opus" }, { codec: "eac3" }, { bitrate: "64k", language: "pt-BR" }];
      const made = await make({ variants, audio });
      const outputs = await made.finish();
      const codecs = outputs.at(-1)?.media.streams.map(({ codec }) => codec);
      expect(codecs?.toSorted()).toEqual(["aac", "av1", "eac3", "h264", "hevc", "opus", "vp9"]);
      const master = await Bun.file(join(made.folder, "master.m3u8")).text();
      expect(master.match(/#EXT-X-STREAM-INF/g)).toHaveLength(12);
      expect(master).toContain('LANGUAGE="pt-BR"');
    }, 60_000);

    test("takes what stands before it: a trim and a crop", async () => {
      const before = [
        { type: "trim", start: 1, end: 2.2 },
        { type: "crop", width: 80, height: 80 },
      ];
      const outputs = await (await make({ variants: [{ height: 80 }] }, { before })).finish();
      expect(outputs.at(-1)?.media).toMatchObject({ durationSeconds: expect.closeTo(1.2, 1) });
      expect(outputs.at(-1)?.media.streams[0]).toMatchObject({ width: 80, height: 80 });
    }, 30_000);
  });
});

test("captions are read in whatever characters they are, and end with the film", async () => {
  const lines = [
    "1\n00:00:00,100 --> 00:00:01,900\nGr\u00fc\u00dfe, cura\u00e7ao\n",
    "1\n00:00:05,000 --> 00:00:06,000\nafterwards\n",
  ];
  const captions = [Buffer.from(lines[0] ?? "", "latin1"), Buffer.from(lines[0] ?? "", "utf16le"), lines[1] ?? ""];
  const stream = { ...STREAM, captions: ["de", "nl", "fr"].map((language, n) => ({ path: `${n}.srt`, language })) };
  const made = await makePackage({ clip: CLIP, stream, captions, before: [{ type: "trim", start: 0.5, end: 2.5 }] });
  await made.finish();
  const read = (id: string): Promise<string> => Bun.file(join(made.folder, `attempt-1/${id}/1.vtt`)).text();
  for (const id of ["t0", "t1"]) expect(await read(id)).toMatch(/00:00:00.000 --> 00:00:01.400.*\nGrüße, curaçao/);
  const names = await readdir(join(made.folder, "attempt-1/t2"));
  expect(names.length).toBeLessThanOrEqual(2);
  expect(await read("t2")).not.toContain("afterwards");
}, 30_000);

test("transport streams of a slow film begin late enough for pictures that are decoded early, and its captions with them", async () => {
  const made = await makePackage({
    clip: { ...CLIP, video: { ...CLIP.video, fps: 5 } },
    stream: { ...STREAM, format: "hls", container: "ts", captions: [{ path: "0.srt", language: "de" }] },
    captions: ["1\n00:00:00,500 --> 00:00:02,500\nA line.\n"],
  });
  await made.finish();
  const first = join(made.folder, "attempt-1/v0/1.ts");
  const args = ["-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", first];
  const times =
    Bun.spawnSync([testEnv().ffprobe, ...args])
      .stdout.toString()
      .match(/^\d+/gm) ?? [];
  const begins = Math.min(...times.map(Number));
  expect(begins).toBe(0.45 * 90_000);
  expect(await Bun.file(join(made.folder, "attempt-1/t0/1.vtt")).text()).toContain(`,MPEGTS:${begins}`);
}, 30_000);

test("a disk that is full while a package is looked at is no fault of the package", async () => {
  const made = await makePackage({ clip: CLIP, stream: { ...STREAM, variants: TWO.slice(1) } });
  await mkdir(join(made.workDir, "out/check"));
  await symlink("/dev/full", join(made.workDir, "out/check/v0"));
  expect((await failureOf(made.finish())).kind).toBe("resource.disk");
}, 30_000);

describe("a broken package is found", () => {
  const broken = async (damage: (folder: string) => Promise<void>, stream: object = {}): Promise<string> => {
    const made = await makePackage({ clip: CLIP, stream: { ...STREAM, ...stream } });
    await damage(made.folder);
    const failure = await failureOf(made.finish());
    expect(failure.kind).toBe("output.invalid");
    expect(failure.publicMessage).not.toContain(made.workDir);
    return failure.publicMessage;
  };
  const edit = async (path: string, change: (text: string) => string): Promise<void> => {
    const text = await Bun.file(path).text();
    expect(change(text)).not.toBe(text);
    await Bun.write(path, change(text));
  };

  const cases: readonly [string, (folder: string) => Promise<void>, RegExp][] = [
    ["a segment is missing", (folder) => rm(join(folder, "attempt-1/v1/2.m4s")), /missing|cannot be read/],
    ["a segment is empty", (folder) => truncate(join(folder, "attempt-1/v0/2.m4s"), 0), /empty|damaged|frames/],
    [
      "a segment is cut off",
      async (folder) => {
        const path = join(folder, "attempt-1/v0/3.m4s");
        await truncate(path, Bun.file(path).size - 400);
      },
      /damaged|frames|cannot be read/,
    ],
    [
      "two segments are each other's",
      async (folder) => {
        const at = (name: string): string => join(folder, "attempt-1/v0", name);
        await rename(at("1.m4s"), at("x"));
        await rename(at("2.m4s"), at("1.m4s"));
        await rename(at("x"), at("2.m4s"));
      },
      /key frame|damaged/,
    ],
    [
      "a rendition is another's",
      async (folder) => {
        await rm(join(folder, "attempt-1/v0"), { recursive: true });
        await Bun.$`cp -r ${join(folder, "attempt-1/v1")} ${join(folder, "attempt-1/v0")}`.quiet();
      },
      /instead of 160x120/,
    ],
    [
      "a playlist has no end",
      (folder) => edit(join(folder, "attempt-1/a0.m3u8"), (text) => text.replace("#EXT-X-ENDLIST", "")),
      /no end/,
    ],
    ["a playlist is none", (folder) => edit(join(folder, "attempt-1/v0.m3u8"), () => "nonsense"), /no valid playlist/],
    [
      "a target is too short",
      (folder) => edit(join(folder, "attempt-1/v0.m3u8"), (text) => text.replace(/EXTINF:1.000/, "EXTINF:7.6")),
      /longer than its target/,
    ],
    [
      "BANDWIDTH is not true",
      (folder) => edit(join(folder, "master.m3u8"), (text) => text.replace(/:BANDWIDTH=\d/, (one) => `${one}0`)),
      /BANDWIDTH/,
    ],
    [
      "CODECS are not true",
      (folder) => edit(join(folder, "master.m3u8"), (text) => text.replaceAll("avc1", "hvc1")),
      /CODECS/,
    ],
    [
      "the manifest is not XML",
      (folder) => edit(join(folder, "manifest.mpd"), (text) => text.slice(0, text.length / 2)),
      /no valid manifest/,
    ],
    [
      "the manifest names another segment",
      (folder) => edit(join(folder, "manifest.mpd"), (text) => text.replace("v1/$Number$", "v9/$Number$")),
      /DASH manifest/,
    ],
    [
      "something lies there that nothing names",
      async (folder) => void (await Bun.write(join(folder, "x.m4s"), "x")),
      /named by nothing/,
    ],
  ];
  for (const [name, damage, message] of cases) {
    test(name, async () => {
      expect(await broken(damage)).toMatch(message);
    }, 30_000);
  }

  test("key frames that are not each other's", async () => {
    const changeStep = (step: PlanStep): PlanStep => {
      let seen = 0;
      return { ...step, args: step.args.map((arg) => (arg === "25" && ++seen === 3 ? "20" : arg)) };
    };
    const made = await makePackage({ clip: CLIP, stream: STREAM, changeStep });
    expect((await failureOf(made.finish())).publicMessage).toMatch(/key frame/);
  }, 30_000);
});
