/**
 * Tiny real media, made by FFmpeg's own sources: a test says what is odd about its input and gets a file that is so. Files
 * are kept in `.cache/media` by the arguments that made them, shared by all tests, and therefore never to be changed:
 * `copyClip` gives a copy that may be.
 */
import { copyFile, mkdir, open, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { testEnv } from "./env.ts";

export interface VideoSpec {
  /** FFmpeg's name of an encoder; default fits the container. */
  readonly encoder?: string;
  /** Default 64x48. */
  readonly width?: number;
  readonly height?: number;
  /** A number or a fraction as text, `30000/1001`; default 25. */
  readonly fps?: number | string;
  /** `yuv420p10le` makes 10 bit; default the encoder's. */
  readonly pixelFormat?: string;
  /** A lavfi source without size and rate, `testsrc2` by default; `color=black`, `mandelbrot`… */
  readonly source?: string;
  /** Four colours over it, so that it can be seen which way up it is: red and green above, blue and white below. */
  readonly quadrants?: boolean;
  /** Grain of this strength over it, 1–100. */
  readonly noise?: number;
  /** Frames between keyframes; default 12. */
  readonly gop?: number;
  /** Drops frames unevenly and keeps the times of the others: a variable frame rate. */
  readonly variableRate?: boolean;
  /** PQ transfer and BT.2020 colours in the stream's tags. */
  readonly hdr?: boolean;
  readonly interlaced?: boolean;
  /** Sample aspect ratio, `4/3`. */
  readonly sampleAspect?: string;
}

export interface AudioSpec {
  readonly encoder?: string;
  /** Default 1; 6 is 5.1. */
  readonly channels?: 1 | 2 | 6;
  /** Default 44100. */
  readonly sampleRate?: number;
  /** Of the sine, in Hz; 0 is silence. */
  readonly frequency?: number;
}

export interface ClipSpec {
  /** Extension, and with it the container: mp4 mov mkv webm avi ts mp3 m4a wav flac ogg png jpg gif… */
  readonly container?: string;
  /** Default 1. */
  readonly durationSeconds?: number;
  /** Null or absent for none; one by default when nothing is said about audio either. */
  readonly video?: VideoSpec | null;
  readonly audio?: AudioSpec | null;
  /** Further audio tracks like the first. */
  readonly audioTracks?: number;
  /** Degrees clockwise that a player has to turn it, in the display matrix (mp4, mov). */
  readonly rotation?: 90 | 180 | 270;
  /** An attached cover picture. */
  readonly cover?: boolean;
  /** A text track with one line. */
  readonly subtitles?: boolean;
  /** Written to a pipe, so that the container does not say how long it is. */
  readonly withoutDuration?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Output arguments before the file name, for what has no field here. */
  readonly outputArgs?: readonly string[];
}

const FOLDER = resolve(import.meta.dir, "../../.cache/media");
const TIMEOUT_MS = 60_000;
/** To be counted up when a clip of the same arguments comes out differently. */
const RECIPE = 1;
const SUBTITLES = "1\n00:00:00,000 --> 00:00:01,000\nA line.\n";

const VIDEO_ENCODERS: Record<string, string> = {
  mp4: "libx264",
  mov: "libx264",
  mkv: "libx264",
  ts: "libx264",
  webm: "libvpx-vp9",
  avi: "mpeg4",
  png: "png",
  jpg: "mjpeg",
  gif: "gif",
  webp: "libwebp",
};
const AUDIO_ENCODERS: Record<string, string> = {
  webm: "libopus",
  ogg: "libvorbis",
  opus: "libopus",
  mp3: "libmp3lame",
  wav: "pcm_s16le",
  flac: "flac",
  avi: "libmp3lame",
};
const FORMATS: Record<string, string> = { mkv: "matroska", ts: "mpegts", m4a: "ipod", jpg: "image2", png: "image2" };
/** Containers that hold no video, apart from a cover. */
const AUDIO_ONLY = new Set(["mp3", "m4a", "wav", "flac", "ogg", "opus", "aac"]);
const STILLS = new Set(["png", "jpg", "webp"]);
/** Sources that take no duration. */
const ENDLESS = /^(mandelbrot|life|cellauto)\b/;
const LAYOUTS = { 1: "mono", 2: "stereo", 6: "5.1" } as const;

const box = (x: string, y: string, color: string): string =>
  `drawbox=x=${x}:y=${y}:w=iw/2:h=ih/2:color=${color}:t=fill`;
const QUADRANTS = [
  box("0", "0", "red"),
  box("iw/2", "0", "lime"),
  box("0", "ih/2", "blue"),
  box("iw/2", "ih/2", "white"),
];

function videoInput(video: VideoSpec, seconds: number): string[] {
  const { width = 64, height = 48, fps = 25, source = "testsrc2" } = video;
  // The sources make even sizes only; the output is scaled to an odd one.
  const size = `${width + (width % 2)}x${height + (height % 2)}`;
  const end = ENDLESS.test(source) ? `,trim=duration=${seconds}` : `:duration=${seconds}`;
  const graph = `${source}${source.includes("=") ? ":" : "="}size=${size}:rate=${fps}${end}`;
  return ["-f", "lavfi", "-i", graph];
}

function audioInput({ sampleRate = 44_100, frequency = 440 }: AudioSpec, seconds: number): string[] {
  const silence = `anullsrc=r=${sampleRate}:cl=mono,atrim=duration=${seconds}`;
  const sine = `sine=frequency=${frequency}:sample_rate=${sampleRate}:duration=${seconds}`;
  return ["-f", "lavfi", "-i", frequency === 0 ? silence : sine];
}

function videoOutput(video: VideoSpec, container: string): string[] {
  const encoder = video.encoder ?? VIDEO_ENCODERS[container] ?? "libx264";
  const args = ["-c:v:0", encoder, "-threads", "1"];
  if (!STILLS.has(container) && container !== "gif") args.push("-g", `${video.gop ?? 12}`);
  if (encoder === "libx264" || encoder === "libx265") args.push("-preset", "ultrafast");
  if (encoder === "libx265") args.push("-x265-params", "log-level=none:pools=none");
  if (encoder === "libvpx-vp9") args.push("-deadline", "realtime", "-cpu-used", "8");
  const pixels = video.pixelFormat ?? (/264|265|vp9|mpeg/.test(encoder) ? "yuv420p" : null);
  if (pixels !== null) args.push("-pix_fmt", pixels);
  const filters: string[] = [];
  if (video.quadrants === true) filters.push(...QUADRANTS);
  // Of every seven frames the first, the second and the fifth stay.
  if (video.variableRate === true) filters.push("select='eq(mod(n,7),0)+eq(mod(n,7),1)+eq(mod(n,7),4)'");
  const { width = 64, height = 48 } = video;
  if (width % 2 === 1 || height % 2 === 1) filters.push(`scale=${width}:${height}`);
  if (video.sampleAspect !== undefined) filters.push(`setsar=${video.sampleAspect}`);
  if (video.noise !== undefined) filters.push(`noise=alls=${video.noise}:allf=t:all_seed=1`);
  if (filters.length > 0) args.push("-vf", filters.join(","));
  if (video.variableRate === true) args.push("-fps_mode", "vfr");
  if (video.interlaced === true) args.push("-flags", "+ilme+ildct", "-top", "1");
  if (video.hdr === true) args.push("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc");
  return args;
}

function audioOutput({ channels = 1, encoder }: AudioSpec, container: string): string[] {
  const codec = encoder ?? AUDIO_ENCODERS[container] ?? "aac";
  return ["-c:a", codec, "-af", `aformat=channel_layouts=${LAYOUTS[channels]}`];
}

/** What the test left open, filled by what the container can hold. */
function streamsOf({ container = "mp4", video, audio }: ClipSpec) {
  const nothingSaid = video === undefined && audio === undefined;
  const soundOnly = AUDIO_ONLY.has(container);
  return {
    video: video ?? (nothingSaid && !soundOnly ? {} : null),
    audio: audio ?? (nothingSaid && soundOnly ? {} : null),
  };
}

interface Inputs {
  readonly args: string[];
  readonly maps: string[];
}

function inputsOf(spec: ClipSpec, seconds: number, subtitlesPath: string): Inputs {
  const { video, audio } = streamsOf(spec);
  const args: string[] = [];
  const maps: string[] = [];
  let count = 0;
  const add = (input: string[], map: string, times = 1) => {
    args.push(...input);
    for (let i = 0; i < times; i += 1) maps.push("-map", `${count}:${map}`);
    count += 1;
  };
  if (video !== null) add(videoInput(video, seconds), "v");
  if (audio !== null) add(audioInput(audio, seconds), "a", spec.audioTracks ?? 1);
  if (spec.cover === true) add(["-f", "lavfi", "-i", "color=red:size=32x32:rate=1:duration=1"], "v");
  if (spec.subtitles === true) add(["-i", subtitlesPath], "s");
  return { args, maps };
}

function encodeArgs(spec: ClipSpec, subtitlesPath: string): string[] {
  const { container = "mp4", durationSeconds = 1 } = spec;
  const { video, audio } = streamsOf(spec);
  const { args, maps } = inputsOf(spec, durationSeconds, subtitlesPath);
  const output = [...maps];
  if (video !== null) output.push(...videoOutput(video, container));
  if (audio !== null) output.push(...audioOutput(audio, container));
  if (spec.cover === true) {
    const index = video === null ? 0 : 1;
    output.push(`-c:v:${index}`, "mjpeg", "-pix_fmt", "yuvj420p", `-frames:v:${index}`, "1", `-disposition:v:${index}`);
    output.push("attached_pic");
  }
  if (spec.subtitles === true) output.push("-c:s", /^(mp4|mov)$/.test(container) ? "mov_text" : "subrip");
  if (STILLS.has(container)) output.push("-frames:v", "1", "-update", "1");
  for (const [key, value] of Object.entries(spec.metadata ?? {})) output.push("-metadata", `${key}=${value}`);
  output.push(...(spec.outputArgs ?? []), "-f", FORMATS[container] ?? container);
  return [...args, ...output];
}

async function runFfmpeg(args: readonly string[]): Promise<void> {
  const child = Bun.spawn([testEnv().ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-y", ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: TIMEOUT_MS,
  });
  const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`FFmpeg could not make the clip (${code}): ${args.join(" ")}\n${stderr}`);
}

/** FFmpeg 6 and later set the matrix by an input option, 5.1 by a tag; both count against the clock. */
async function turn(from: string, to: string, rotation: number, container: string): Promise<void> {
  const version = Bun.spawnSync([testEnv().ffmpeg, "-hide_banner", "-version"]).stdout.toString();
  const old = Number(/version n?(\d+)/.exec(version)?.[1] ?? 9) < 6;
  const before = old ? [] : ["-display_rotation", `${360 - rotation}`];
  const after = old ? ["-metadata:s:v:0", `rotate=${360 - rotation}`] : [];
  const format = FORMATS[container] ?? container;
  await runFfmpeg([...before, "-i", from, "-map", "0", "-c", "copy", ...after, "-f", format, to]);
}

async function make(spec: ClipSpec, args: readonly string[], path: string): Promise<void> {
  const { container = "mp4" } = spec;
  const scratch = `${path}.${Bun.randomUUIDv7()}`;
  const flat = `${scratch}.flat`;
  try {
    await Bun.write(join(FOLDER, "line.srt"), SUBTITLES);
    if (spec.withoutDuration === true) await runToPipe(args, scratch);
    else await runFfmpeg([...args, spec.rotation === undefined ? scratch : flat]);
    if (spec.rotation !== undefined) await turn(flat, scratch, spec.rotation, container);
    await rename(scratch, path);
  } finally {
    await Promise.all([scratch, flat].map((file) => rm(file, { force: true })));
  }
}

async function runToPipe(args: readonly string[], path: string): Promise<void> {
  const child = Bun.spawn([testEnv().ffmpeg, "-nostdin", "-v", "error", ...args, "pipe:1"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    timeout: TIMEOUT_MS,
  });
  await Bun.write(path, new Response(child.stdout));
  if ((await child.exited) !== 0) throw new Error(`FFmpeg could not make the clip: ${args.join(" ")}`);
}

const making = new Map<string, Promise<string>>();

/** Absolute path of a file as `spec` says, read only. Without a spec: one second of 64x48 H.264 in mp4, no sound. */
export function makeClip(spec: ClipSpec = {}): Promise<string> {
  const args = encodeArgs(spec, join(FOLDER, "line.srt"));
  const key = Bun.hash(JSON.stringify([RECIPE, args, spec.rotation, spec.withoutDuration])).toString(36);
  const path = join(FOLDER, `${key}.${spec.container ?? "mp4"}`);
  const made = making.get(path) ?? makeOnce(spec, args, path);
  making.set(path, made);
  return made;
}

async function makeOnce(spec: ClipSpec, args: readonly string[], path: string): Promise<string> {
  if (!(await Bun.file(path).exists())) {
    await mkdir(FOLDER, { recursive: true });
    await make(spec, args, path);
  }
  return path;
}

/** A copy at `path` that may be changed; the folder must exist. Returns `path`. */
export async function copyClip(path: string, spec: ClipSpec = {}): Promise<string> {
  await copyFile(await makeClip(spec), path);
  return path;
}

/** Cuts the file at `path` off after `share` of its bytes, as a broken transfer does. */
export async function truncateFile(path: string, share: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    await file.truncate(Math.floor(size * share));
  } finally {
    await file.close();
  }
}
