/** Sources to convert: real encodes of FFmpeg's test picture. */
import { mkdir, rename, utimes } from "node:fs/promises";
import { join, resolve } from "node:path";
import { programs, timeRun } from "./programs.ts";

const CACHE = resolve(".cache/bench");

export interface Clip {
  readonly width: number;
  readonly height: number;
  readonly seconds: number;
  /** Constant rate of the video, for files of a size; absent: what the encoder makes of it. */
  readonly megabitsPerSecond?: number;
  /** With grain, at about this rate, with B-frames and CABAC: what a camera or a disc gives a decoder to do. */
  readonly filmMegabitsPerSecond?: number;
}

/** The name's part and the encoder's arguments. */
function encodingOf({ megabitsPerSecond: rate, filmMegabitsPerSecond: film }: Clip): [string, string[]] {
  if (film !== undefined) {
    const rates = ["-b:v", `${film}M`, "-maxrate", `${film * 1.2}M`, "-bufsize", `${film * 2}M`];
    return [`film${film}M`, ["-preset", "medium", "-vf", "noise=alls=10:allf=t,format=yuv420p", ...rates]];
  }
  if (rate === undefined) return ["", ["-preset", "ultrafast", "-crf", "20"]];
  const rates = ["-b:v", `${rate}M`, "-minrate", `${rate}M`, "-maxrate", `${rate}M`, "-bufsize", `${rate}M`];
  return [`${rate}M`, ["-preset", "ultrafast", ...rates, "-x264-params", "nal-hrd=cbr:force-cfr=1"]];
}

/** Made once and kept: an H.264 MP4 with AAC sound. Returns its absolute path; never write to it. */
export async function makeClip(clip: Clip): Promise<string> {
  const [kind, encoding] = encodingOf(clip);
  const name = [`${clip.width}x${clip.height}`, `${clip.seconds}s`, kind].filter((part) => part !== "").join("-");
  const path = join(CACHE, `${name}.mp4`);
  if (await Bun.file(path).exists()) return path;
  await mkdir(CACHE, { recursive: true });
  const making = join(CACHE, `.${name}.${process.pid}.mp4`);
  const size = `s=${clip.width}x${clip.height}:r=30:d=${clip.seconds}`;
  const sound = ["-f", "lavfi", "-i", `sine=f=440:d=${clip.seconds}`];
  const codecs = ["-c:v", "libx264", "-g", "60", ...encoding, "-pix_fmt", "yuv420p", "-c:a", "aac"];
  const picture = ["-f", "lavfi", "-i", `testsrc2=${size}`];
  const quiet = ["-nostdin", "-hide_banner", "-v", "error", "-y"];
  await timeRun([programs.ffmpegStatic, ...quiet, ...picture, ...sound, ...codecs, making], CACHE);
  await rename(making, path);
  return path;
}

/** Writes at `path` a file of about `bytes` that repeats `source` without encoding it again. */
export async function loopClip(source: string, bytes: number, path: string): Promise<void> {
  const quiet = ["-nostdin", "-hide_banner", "-v", "error", "-y"];
  const size = ["-c", "copy", "-fs", `${Math.round(bytes)}`];
  await timeRun([programs.ffmpegStatic, ...quiet, "-stream_loop", "-1", "-i", source, ...size, path], CACHE);
}

/** Makes a file one that nobody has probed yet: what is known of an input is not looked for again. */
export async function freshen(path: string): Promise<void> {
  await utimes(path, new Date(), new Date());
}
