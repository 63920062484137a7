/**
 * Small files that ask for far more than they weigh: pixels, hours, frames, streams. Some say so, and are over a limit; some
 * say something else than what is in them. Each with a job that a careless program would not survive.
 */
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { type ClipSpec, makeClip } from "./media.ts";

export interface Bomb {
  /** Of its file too. */
  readonly name: string;
  make(): Promise<Uint8Array>;
  readonly output: string;
  readonly operations: readonly object[];
  /** The kind of error that its job fails with, or `completed`. */
  readonly ends: RegExp;
}

const FAST = { type: "transcode", video_codec: "h264", preset: "ultrafast" };

const u32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
};

/** 20,000 pixels wide and high, black and white: 50 MB of zeros in 49 kB, 1.2 GB as colours. */
function hugePng(side: number): Uint8Array {
  const chunk = (type: string, body: Uint8Array): Buffer => {
    const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
    return Buffer.concat([u32(body.length), named, u32(Bun.hash.crc32(named))]);
  };
  const header = Buffer.concat([u32(side), u32(side), Buffer.from([1, 0, 0, 0, 0])]);
  const rows = deflateSync(Buffer.alloc(side * (side / 8 + 1)), { level: 1 });
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([magic, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))]);
}

const bytesOf = async (spec: ClipSpec): Promise<Buffer> => Buffer.from(await Bun.file(await makeClip(spec)).bytes());

const tiny = { width: 64, height: 48 } as const;
const HOURS = 40;
/** Two pictures with hours between them. */
const apart: ClipSpec = {
  ...{ container: "mkv", durationSeconds: 2, video: { ...tiny, fps: 1 } },
  outputArgs: ["-bsf:v", `setts=ts=N*${HOURS * 3_600_000}`],
};

/** Matroska's Duration (0x4489), a number of 8 bytes in milliseconds. */
function sayingOneSecond(film: Buffer): Buffer {
  const at = film.indexOf(Buffer.from([0x44, 0x89, 0x88]));
  if (at === -1) throw new Error("There is no Duration.");
  film.writeDoubleBE(1_000, at + 3);
  return film;
}

export const BOMBS: readonly Bomb[] = [
  {
    ...{ name: "a picture of 400 million pixels", make: async () => hugePng(20_000), output: "png" },
    ...{ operations: [{ type: "scale", width: 64 }], ends: /^limit\.exceeded$/ },
  },
  {
    name: "a film whose picture grows beyond all measure",
    make: async () => {
      const large = { width: 8_192, height: 4_608, fps: 2, source: "color=red" };
      return Buffer.concat([
        await bytesOf({ container: "ts", durationSeconds: 1, video: tiny }),
        await bytesOf({ container: "ts", video: large, outputArgs: ["-output_ts_offset", "1"] }),
      ]);
    },
    ...{ output: "mp4", operations: [FAST], ends: /^(completed|input\.unreadable|output\.invalid)$/ },
  },
  {
    ...{ name: `two pictures ${HOURS} hours apart`, make: () => bytesOf(apart), output: "mp4" },
    ...{ operations: [{ ...FAST, fps: 25 }], ends: /^limit\.exceeded$/ },
  },
  {
    name: `two pictures ${HOURS} hours apart that say a second`,
    make: async () => sayingOneSecond(await bytesOf(apart)),
    ...{ output: "mp4", operations: [{ ...FAST, fps: 25 }], ends: /^output\.invalid$/ },
  },
  {
    name: "25,000 pictures a second, to be kept and played backwards",
    make: () =>
      bytesOf({
        ...{ container: "mov", durationSeconds: 0.1 },
        video: { width: 640, height: 480, fps: 25_000, gop: 2_500, source: "color=red" },
      }),
    ...{ output: "mp4", operations: [{ type: "filter", name: "reverse" }, FAST], ends: /^plan\.invalid$/ },
  },
  {
    ...{ name: "two hundred streams", output: "mp4", operations: [], ends: /^limit\.exceeded$/ },
    make: () => bytesOf({ container: "mkv", durationSeconds: 0.2, audio: { encoder: "pcm_s16le" }, audioTracks: 200 }),
  },
  {
    ...{ name: "thirty streams", output: "mkv", operations: [{ type: "audio", volume: 0.5 }], ends: /^completed$/ },
    make: () => bytesOf({ container: "mkv", durationSeconds: 0.2, audio: { encoder: "pcm_s16le" }, audioTracks: 30 }),
  },
  {
    name: "a picture of the largest size that is allowed",
    make: () => bytesOf({ durationSeconds: 0.2, video: { width: 7_680, height: 4_320, fps: 5, source: "color=red" } }),
    ...{ output: "mp4", operations: [{ type: "scale", width: 64 }, FAST], ends: /^completed$/ },
  },
];

/** Writes each under its name. */
export async function placeBombs(folder: string): Promise<void> {
  for (const { name, make } of BOMBS) await Bun.write(join(folder, name), await make());
}
