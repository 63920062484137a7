/** What an ordinary FFmpeg can do, without asking one: for tests of plans. */
import { ALLOWED_DEMUXERS } from "../../src/media/input-formats.ts";
import type { Ability, Capabilities, MediaLimits } from "../../src/media/types.ts";

const ENCODERS =
  "libx264 libx265 libvpx libvpx-vp9 libsvtav1 libaom-av1 prores_ks mpeg2video gif libwebp libwebp_anim png mjpeg aac libmp3lame libopus libvorbis flac ac3 eac3 alac pcm_s16le pcm_s24le mov_text subrip webvtt";
const FILTERS =
  "select scale crop pad transpose hflip vflip setsar format fps split palettegen paletteuse thumbnail tpad trim setpts volume aresample aformat atrim asetpts hqdn3d bwdif unsharp gblur eq hue fade afade atempo reverse areverse vidstabdetect vidstabtransform zscale tonemap loudnorm tile concat showwavespic xfade acrossfade apad overlay colorchannelmixer drawtext ass";
const MUXERS =
  "mp4 mov ipod matroska webm avi mpegts vob flv mp3 adts wav flac ogg opus ac3 eac3 gif webp image2 image2pipe s16le null";

const works = (names: string): Record<string, Ability> =>
  Object.fromEntries(names.split(" ").map((name) => [name, { ok: true } as const]));

/** Demuxers that FFmpeg 5.1 does not have yet. */
const NEW_DEMUXERS = new Set(["webp_anim", "jpegxl_anim", "vvc"]);

export function sampleCapabilities(major: 5 | 9): Capabilities {
  const demuxers = ALLOWED_DEMUXERS.filter((name) => major > 5 || !NEW_DEMUXERS.has(name));
  return {
    ffmpegVersion: major === 5 ? "5.1.9" : "9.0.2",
    ffmpegMajor: major,
    ffprobeVersion: major === 5 ? "5.1.9" : "9.0.2",
    encoders: works(ENCODERS),
    decoders: [],
    filters: works(FILTERS),
    muxers: works(MUXERS),
    demuxers,
    accelerators: {},
    sandbox: { ok: true },
    packager: { ok: true },
    // Debian's is built without libvmaf.
    vmaf: major === 5 ? { ok: false, reason: "it is not there" } : { ok: true, program: "ffmpeg", options: "new" },
    inputFormats: demuxers,
  };
}

export const sampleLimits: MediaLimits = {
  maxInputBytes: 10e9,
  maxDurationSeconds: 86_400,
  maxOperations: 50,
  maxWidth: 7_680,
  maxHeight: 4_320,
  maxBitrate: 100e6,
  maxOutputs: 40,
  allowRawOptions: true,
  maxStreams: 64,
};
