/**
 * What is tried at start: the smallest real piece of work for each thing that a plan may use. All tries share three inputs,
 * a picture (0), a sound (1) and a subtitle (2), so that many of them can run in one process.
 */

import type { Accelerator as AcceleratorName } from "../media/encoders/hardware.ts";

/** FFmpeg's output arguments that use the thing once. */
export interface Try {
  readonly name: string;
  readonly args: readonly string[];
}

export const FONT_FILE = "font.ttf";
export const SCRIPT_FILE = "line.ass";
export const SCRIPT_TEXT = `[Script Info]
[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,sans,20
[Events]
Format: Layer, Start, End, Style, Text
Dialogue: 0,0:00:00.00,0:00:01.00,Default,A line.
`;
export const SUBTITLE_FILE = "line.srt";
export const SUBTITLE_TEXT = "1\n00:00:00,000 --> 00:00:01,000\nA line.\n";

export function inputArgs(workDir: string): readonly string[] {
  return [
    ...["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.2"],
    ...["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=0.2"],
    ...["-f", "srt", "-i", `file:${workDir}/${SUBTITLE_FILE}`],
  ];
}

const TO_NOWHERE = ["-f", "null", "-"] as const;

const picture = (name: string, ...args: readonly string[]): Try => ({
  name,
  args: ["-map", "0:v", "-frames:v", "3", "-c:v", name, "-threads", "1", ...args, ...TO_NOWHERE],
});
const sound = (name: string, ...args: readonly string[]): Try => ({
  name,
  args: ["-map", "1:a", "-c:a", name, ...args, ...TO_NOWHERE],
});
const subtitle = (name: string): Try => ({ name, args: ["-map", "2:s", "-c:s", name, ...TO_NOWHERE] });
const yuv = ["-pix_fmt", "yuv420p"] as const;

export const ENCODER_TRIES: readonly Try[] = [
  picture("libx264", ...yuv, "-preset", "ultrafast"),
  picture("libx265", ...yuv, "-preset", "ultrafast", "-x265-params", "pools=1:log-level=error"),
  picture("libvpx", ...yuv, "-deadline", "realtime", "-cpu-used", "8"),
  picture("libvpx-vp9", ...yuv, "-deadline", "realtime", "-cpu-used", "8"),
  picture("libaom-av1", ...yuv, "-usage", "realtime", "-cpu-used", "8"),
  picture("libsvtav1", ...yuv, "-preset", "12"),
  picture("prores_ks", "-pix_fmt", "yuv422p10le"),
  picture("mpeg2video", ...yuv),
  picture("mpeg4", ...yuv),
  picture("gif"),
  picture("libwebp", ...yuv),
  picture("libwebp_anim", ...yuv),
  picture("png"),
  picture("mjpeg", "-pix_fmt", "yuvj420p"),
  sound("aac"),
  sound("libfdk_aac"),
  sound("libmp3lame"),
  sound("libopus"),
  sound("libvorbis"),
  sound("flac"),
  sound("ac3"),
  sound("eac3"),
  sound("alac"),
  ...["pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_u8", "pcm_f32le"].map((name) => sound(name)),
  ...["mov_text", "webvtt", "ass", "srt", "subrip"].map(subtitle),
];

const filter = (name: string, graph: string): Try => ({
  name,
  args: ["-filter_complex", graph, ...TO_NOWHERE],
});
const video = (name: string, options = "") => filter(name, `[0:v]${name}${options === "" ? "" : "="}${options}`);
const audio = (name: string, options = "") => filter(name, `[1:a]${name}${options === "" ? "" : "="}${options}`);

export const FILTER_TRIES: readonly Try[] = [
  video("scale", "64:36"),
  video("zscale", "w=64:h=36"),
  video("crop", "64:36"),
  video("pad", "400:300:-1:-1"),
  video("transpose", "clock"),
  video("hflip"),
  video("vflip"),
  video("fps", "10"),
  video("colorchannelmixer", "aa=0.5"),
  video("ass", `filename=${SCRIPT_FILE}:fontsdir=.`),
  // With the program's own font, which the try's folder holds.
  video("drawtext", `fontfile=${FONT_FILE}:text=x`),
  video("setsar", "1"),
  video("hqdn3d", "4"),
  video("bwdif"),
  video("unsharp"),
  video("gblur", "2"),
  video("eq", "gamma=2"),
  video("hue", "s=0"),
  video("fade", "in:st=0:d=0.1"),
  video("reverse"),
  video("vidstabdetect", "result=exercise.trf"),
  filter(
    "tonemap",
    "[0:v]format=yuv420p,zscale=tin=smpte2084:min=2020_ncl:pin=2020:t=linear:p=2020:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable,zscale=t=bt709:m=bt709:r=tv,format=yuv420p",
  ),
  video("tpad", "stop_duration=0.1"),
  video("setpts", "PTS-STARTPTS"),
  video("format", "yuv420p"),
  video("trim", "start=0:end=0.1"),
  video("select", "lt(n\\,2)"),
  video("thumbnail", "3"),
  video("tile", "2x1"),
  video("palettegen"),
  filter("split", "[0:v]split[a][b];[a]nullsink;[b]null"),
  filter("paletteuse", "[0:v]split[a][b];[a]palettegen[p];[b][p]paletteuse"),
  filter("overlay", "[0:v]split[a][b];[a][b]overlay"),
  audio("aresample", "44100"),
  audio("aformat", "channel_layouts=stereo"),
  audio("volume", "0.5"),
  audio("loudnorm"),
  audio("atempo", "2"),
  audio("areverse"),
  audio("afade", "in:st=0:d=0.1"),
  filter("concat", "[0:v]split[a][b];[a][b]concat"),
  filter("xfade", "[0:v]fps=25,split[a][b];[a][b]xfade=duration=0.04"),
  filter("acrossfade", "[1:a]asplit[a][b];[a][b]acrossfade=duration=0.01"),
  audio("apad", "pad_len=1"),
  filter("showwaves", "[1:a]showwaves=s=64x36"),
  audio("atrim", "start=0:end=0.1"),
  audio("asetpts", "PTS-STARTPTS"),
  audio("pan", "stereo|c0=c0|c1=c0"),
  audio("asplit", "1"),
  filter("showwavespic", "[1:a]showwavespic=s=64x36"),
];

const muxer = (name: string, extension: string, ...args: readonly string[]): Try => ({
  name,
  args: [...args, "-f", name, `out.${name}.${extension}`],
});
const film = ["-map", "0:v", "-map", "1:a", "-c:v", "mpeg4", "-c:a", "aac"] as const;
const still = ["-map", "0:v", "-frames:v", "1"] as const;

/** With FFmpeg's own encoders where the container takes what they make, so that a failure is the muxer's. */
export const MUXER_TRIES: readonly Try[] = [
  muxer("mp4", "mp4", ...film, "-movflags", "+faststart"),
  muxer("mov", "mov", ...film),
  muxer("matroska", "mkv", ...film),
  muxer("avi", "avi", ...film),
  muxer("mpegts", "ts", "-map", "0:v", "-map", "1:a", "-c:v", "mpeg2video", "-c:a", "aac"),
  muxer("webm", "webm", "-map", "0:v", "-c:v", "libvpx", ...yuv),
  muxer("ipod", "m4a", "-map", "1:a", "-c:a", "aac"),
  muxer("adts", "aac", "-map", "1:a", "-c:a", "aac"),
  muxer("mp3", "mp3", "-map", "1:a", "-c:a", "libmp3lame"),
  muxer("wav", "wav", "-map", "1:a", "-c:a", "pcm_s16le"),
  muxer("flac", "flac", "-map", "1:a", "-c:a", "flac"),
  muxer("ogg", "ogg", "-map", "1:a", "-c:a", "flac"),
  muxer("opus", "opus", "-map", "1:a", "-c:a", "libopus"),
  muxer("ac3", "ac3", "-map", "1:a", "-c:a", "ac3"),
  muxer("eac3", "eac3", "-map", "1:a", "-c:a", "eac3"),
  muxer("gif", "gif", "-map", "0:v", "-c:v", "gif"),
  muxer("webp", "webp", ...still, "-c:v", "libwebp", ...yuv),
  muxer("image2", "png", ...still, "-c:v", "png", "-update", "1"),
];

export interface Accelerator {
  readonly name: AcceleratorName;
  readonly tries: readonly Try[];
  /** Arguments before the inputs. */
  readonly head: readonly string[];
  /** One of these exists where it can work; empty: on macOS only. */
  readonly devices: readonly string[];
}

const RENDER_NODE = "/dev/dri/renderD128";
const upload = ["-vf", "format=nv12,hwupload"] as const;

export const ACCELERATORS: readonly Accelerator[] = [
  {
    name: "nvenc",
    tries: ["h264_nvenc", "hevc_nvenc", "av1_nvenc"].map((name) => picture(name, ...yuv)),
    head: [],
    devices: ["/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"],
  },
  {
    name: "qsv",
    tries: ["h264_qsv", "hevc_qsv", "vp9_qsv", "av1_qsv"].map((name) => picture(name, "-pix_fmt", "nv12")),
    head: [],
    devices: [RENDER_NODE],
  },
  {
    name: "vaapi",
    tries: ["h264_vaapi", "hevc_vaapi", "vp9_vaapi", "av1_vaapi"].map((name) => picture(name, ...upload)),
    head: ["-vaapi_device", RENDER_NODE],
    devices: [RENDER_NODE],
  },
  {
    name: "amf",
    tries: ["h264_amf", "hevc_amf", "av1_amf"].map((name) => picture(name, "-pix_fmt", "nv12")),
    head: [],
    devices: [RENDER_NODE],
  },
  {
    name: "videotoolbox",
    tries: ["h264_videotoolbox", "hevc_videotoolbox", "prores_videotoolbox"].map((name) =>
      picture(name, "-pix_fmt", name.startsWith("prores") ? "p210le" : "nv12"),
    ),
    head: [],
    devices: [],
  },
];
