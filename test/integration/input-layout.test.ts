/** Which files can be read from a pipe without losing anything, on files that FFmpeg has made. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { findLayout, type Layout } from "../../src/media/layout.ts";
import { testEnv } from "../support/env.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const PICTURE = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=1"];
const SOUND = ["-f", "lavfi", "-i", "sine=d=1"];

async function make(name: string, args: readonly string[]): Promise<Uint8Array> {
  const path = join(await makeTempDir("layout"), name);
  const child = Bun.spawn([testEnv().ffmpeg9, "-v", "error", ...args, path], { stderr: "pipe" });
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
  return await Bun.file(path).bytes();
}

/** `headBytes`: what is looked at; the end is the last part of the file. */
function layoutOf(bytes: Uint8Array, headBytes = bytes.length): Layout {
  return findLayout({ head: bytes.subarray(0, headBytes), tail: bytes.subarray(-4096), sizeBytes: bytes.length });
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const ascii = (text: string, length = text.length): Uint8Array => {
  const bytes = new Uint8Array(length);
  bytes.set(new TextEncoder().encode(text));
  return bytes;
};

test("what FFmpeg writes to be streamed is streamed", async () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["mp4", [...PICTURE, "-movflags", "+faststart"]],
    ["mkv", [...PICTURE, ...SOUND, "-metadata", "title=x"]],
    ["webm", [...PICTURE, "-c:v", "libvpx"]],
    ["ts", [...PICTURE, "-c:v", "mpeg2video"]],
    ["mp3", [...SOUND, "-metadata", "title=x"]],
    ["wav", [...SOUND, "-metadata", "title=x"]],
    ["flac", SOUND],
  ];
  for (const [container, args] of cases) {
    const bytes = await make(`a.${container}`, args);
    expect([container, layoutOf(bytes)]).toEqual([container, { streams: true, container }]);
    // Whatever part of it is looked at, nothing is thrown.
    for (let cut = 0; cut < Math.min(bytes.length, 600); cut++) layoutOf(bytes.subarray(0, cut));
  }
});

test("what would be lost on a pipe is not streamed", async () => {
  const front = await make("front.mp4", [...PICTURE, "-movflags", "+faststart"]);
  const mp3 = await make("a.mp3", [...SOUND, "-id3v2_version", "0", "-write_xing", "0"]);
  const wav = await make("a.wav", SOUND);
  const chunk = joined(ascii("LIST"), new Uint8Array([4, 0, 0, 0]), ascii("INFO"));
  const cases: readonly (readonly [string, Uint8Array, number?])[] = [
    ["index is at its end", await make("end.mp4", PICTURE)],
    ["fragmented", await make("frag.mp4", [...PICTURE, "-movflags", "frag_keyframe+empty_moov"])],
    ["too long to be read first", front, 64],
    ["tags are at its end", joined(mp3, ascii("TAG", 128))],
    ["tags are at its end", joined(mp3, ascii("APETAGEX", 32))],
    ["tags are at its end", joined(mp3, ascii("APETAGEX", 32), ascii("TAG", 128))],
    ["behind its sound", joined(wav, chunk)],
    ["not read from a pipe", await make("a.avi", PICTURE)],
    ["not read from a pipe", new Uint8Array(1_000)],
  ];
  for (const [reason, bytes, headBytes] of cases) {
    expect(layoutOf(bytes, headBytes)).toMatchObject({ streams: false, reason: expect.stringContaining(reason) });
  }
  expect(layoutOf(joined(await make("b.mp3", SOUND), ascii("TAG", 128)))).toMatchObject({ streams: true });
});

test("a Matroska file whose tags follow its clusters is not streamed", async () => {
  const bytes = await make("a.mkv", [...PICTURE, "-metadata", "title=x"]);
  // The SeekHead's entry for the tags, pointed behind the first cluster.
  const tags = Buffer.from(bytes).indexOf(Buffer.from([0x53, 0xab, 0x84, 0x12, 0x54, 0xc3, 0x67, 0x53, 0xac]));
  expect(tags).toBeGreaterThan(0);
  const size = (bytes[tags + 9] ?? 0) & 0x7f;
  const moved = bytes.slice();
  moved.fill(0, tags + 10, tags + 10 + size);
  moved[tags + 10 + size - 2] = 0x7f;
  expect(layoutOf(moved)).toEqual({ streams: false, reason: expect.stringContaining("at its end") });
});
