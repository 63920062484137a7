import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { testEnv } from "./env.ts";
import { type ClipSpec, copyClip, makeClip, truncateFile } from "./media.ts";
import { makeTempDir } from "./temp-dir.ts";

interface Probed {
  streams: Record<string, unknown>[];
  format: Record<string, unknown>;
}

function probe(path: string): Probed {
  const args = ["-v", "error", "-show_streams", "-show_format", "-of", "json", path];
  return JSON.parse(Bun.spawnSync([testEnv().ffprobe, ...args]).stdout.toString()) as Probed;
}

const sound = { audio: {} };
const both = { video: {}, audio: { channels: 2 } } as const;

const CONTAINERS: Record<string, ClipSpec> = {
  mp4: both,
  mov: both,
  mkv: both,
  webm: both,
  avi: both,
  ts: both,
  mp3: sound,
  m4a: sound,
  wav: sound,
  flac: sound,
  ogg: sound,
  png: {},
  jpg: {},
  gif: {},
};

describe("makeClip", () => {
  for (const [container, spec] of Object.entries(CONTAINERS)) {
    test(`${container} holds what was asked for`, async () => {
      const { streams } = probe(await makeClip({ container, ...spec }));
      const kinds = streams.map((stream) => stream.codec_type);
      const video = spec.video !== undefined || spec.audio === undefined;
      expect(kinds).toEqual([...(video ? ["video"] : []), ...(spec.audio === undefined ? [] : ["audio"])]);
    });
  }

  test("turns the picture by the display matrix", async () => {
    const { streams } = probe(await makeClip({ rotation: 90 }));
    expect(JSON.stringify(streams[0]?.side_data_list)).toContain('"rotation":-90');
  });

  test("10 bit, HDR tags, odd dimensions, 5.1", async () => {
    const video = { width: 65, height: 47, encoder: "libx265", pixelFormat: "yuv444p10le", hdr: true };
    const { streams } = probe(await makeClip({ video, audio: { channels: 6 } }));
    expect(streams[0]).toMatchObject({ width: 65, height: 47, pix_fmt: "yuv444p10le", color_transfer: "smpte2084" });
    expect(streams[1]).toMatchObject({ channels: 6 });
  });

  test("a variable frame rate: the average is not the base rate", async () => {
    const { streams } = probe(await makeClip({ video: { variableRate: true }, durationSeconds: 2 }));
    expect(streams[0]?.avg_frame_rate).not.toBe(streams[0]?.r_frame_rate);
  });

  test("without a duration in the container", async () => {
    const { format } = probe(await makeClip({ container: "mkv", withoutDuration: true }));
    expect(format.duration).toBeUndefined();
  });

  test("cover, subtitles, several tracks, metadata", async () => {
    const spec = { ...both, cover: true, subtitles: true, audioTracks: 2, metadata: { title: "A = b; c" } };
    const { streams, format } = probe(await makeClip(spec));
    expect(streams.map((stream) => stream.codec_type).sort()).toEqual(["audio", "audio", "subtitle", "video", "video"]);
    expect(
      streams.filter((stream) => (stream.disposition as { attached_pic: number }).attached_pic === 1),
    ).toHaveLength(1);
    expect(format.tags).toMatchObject({ title: "A = b; c" });
  });

  test("is made once, and a copy may be cut", async () => {
    expect(await makeClip()).toBe(await makeClip());
    const path = await copyClip(join(await makeTempDir(), "name with spaces.mp4"));
    const { size } = Bun.file(path);
    await truncateFile(path, 0.5);
    expect(Bun.file(path).size).toBe(Math.floor(size / 2));
  });
});
