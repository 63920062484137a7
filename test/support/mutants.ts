/** Damaged media of our own making: each follows from a seed alone. */
import type { Random } from "../faults/chaos/random.ts";
import type { ClipSpec } from "./media.ts";

const small = { width: 64, height: 48 } as const;
const film = (container: string, more: Partial<ClipSpec> = {}): ClipSpec => ({
  ...{ container, durationSeconds: 0.4, video: small, audio: {} },
  ...more,
});

/** One of each container that is read by a part of FFmpeg of its own. */
export const HEALTHY_CLIPS: readonly ClipSpec[] = [
  film("mp4"),
  film("mp4", { outputArgs: ["-movflags", "+faststart"] }),
  film("mp4", { outputArgs: ["-movflags", "+frag_keyframe+empty_moov"] }),
  film("mov", { rotation: 90 }),
  film("mkv", { subtitles: true, metadata: { title: "A title" } }),
  film("webm"),
  film("avi"),
  film("ts"),
  film("mkv", { video: { ...small, encoder: "libx265", pixelFormat: "yuv420p10le", hdr: true } }),
  { container: "gif", durationSeconds: 0.4, video: { ...small, fps: 10 } },
  { container: "png", video: small },
  { container: "jpg", video: small },
  { container: "webp", video: small },
  { container: "mp3", durationSeconds: 0.4, audio: {}, cover: true },
  { container: "wav", durationSeconds: 0.4, audio: {} },
  { container: "flac", durationSeconds: 0.4, audio: {} },
  { container: "ogg", durationSeconds: 0.4, audio: {} },
  { container: "m4a", durationSeconds: 0.4, audio: {} },
];

type Damage = (bytes: Buffer, random: Random, others: readonly Buffer[]) => Buffer;

/** Headers are where most of a parser's decisions are. */
const place = (bytes: Buffer, random: Random): number =>
  random.int(3) === 0 ? random.int(bytes.length) : random.int(Math.min(bytes.length, 1_024));

const EXTREMES = [0, 1, 0x7f_ff_ff_ff, 0x80_00_00_00, 0xff_ff_ff_ff, 0x01_00_00_00];

const DAMAGES: Readonly<Record<string, Damage>> = {
  "cut off": (bytes, random) => bytes.subarray(0, random.int(bytes.length)),
  "without its beginning": (bytes, random) => bytes.subarray(random.int(bytes.length)),
  "with bits turned": (bytes, random) => {
    for (let n = 1 + random.int(40); n > 0; n -= 1) {
      const at = place(bytes, random);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8));
    }
    return bytes;
  },
  "with bytes of anything": (bytes, random) => {
    for (let n = 1 + random.int(60); n > 0; n -= 1) bytes[place(bytes, random)] = random.int(256);
    return bytes;
  },
  "with absurd numbers": (bytes, random) => {
    for (let n = 1 + random.int(6); n > 0; n -= 1) {
      const at = Math.min(place(bytes, random), Math.max(0, bytes.length - 4));
      if (bytes.length >= 4) bytes.writeUInt32BE(random.pick(EXTREMES), at);
    }
    return bytes;
  },
  "with a hole": (bytes, random) => {
    const at = random.int(bytes.length);
    return bytes.fill(0, at, at + random.int(bytes.length - at));
  },
  "with a part twice": (bytes, random) => {
    const at = random.int(bytes.length);
    const until = at + random.int(bytes.length - at);
    return Buffer.concat([bytes.subarray(0, until), bytes.subarray(at)]);
  },
  "with a part gone": (bytes, random) => {
    const at = random.int(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.int(bytes.length - at))]);
  },
  "that goes on as another": (bytes, random, others) => {
    const other = random.pick(others);
    return Buffer.concat([bytes.subarray(0, random.int(bytes.length)), other.subarray(random.int(other.length))]);
  },
  "with a long tail": (bytes, random) =>
    Buffer.concat([bytes, Buffer.alloc(random.int(100_000), String.fromCharCode(random.int(256)))]),
  "of noise": (bytes, random) => {
    for (let n = 0; n < bytes.length; n += 1) bytes[n] = random.int(256);
    return bytes;
  },
};

export interface Mutant {
  readonly name: string;
  readonly bytes: Buffer;
}

export function makeMutant(
  random: Random,
  clips: readonly { readonly name: string; readonly bytes: Buffer }[],
): Mutant {
  const clip = random.pick(clips);
  const others = clips.map(({ bytes }) => bytes);
  const names: string[] = [];
  let bytes: Buffer = Buffer.from(clip.bytes);
  for (let n = random.int(3) === 0 ? 2 : 1; n > 0 && bytes.length > 0; n -= 1) {
    const name = random.pick(Object.keys(DAMAGES));
    names.push(name);
    bytes = DAMAGES[name]?.(bytes, random, others) ?? bytes;
  }
  return { name: `${clip.name} ${names.join(", ")}`, bytes };
}
