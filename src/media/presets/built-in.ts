/** The presets that every deployment has. Each change counts up its version. */
import type { Preset } from "./apply.ts";

const h264 = { type: "transcode", video_codec: "h264", audio_codec: "aac", pixel_format: "yuv420p" } as const;

export const BUILT_IN_PRESETS: readonly Preset[] = [
  {
    name: "web",
    version: 1,
    description: "H.264 and AAC up to 1080p, which every browser plays (mp4).",
    operations: [
      { type: "scale", width: 1920, height: 1080, mode: "fit", enlarge: false },
      { ...h264, profile: "high", crf: 23, preset: "medium", audio_bitrate: "128k", audio_channels: 2 },
    ],
    options: { faststart: true },
  },
  {
    name: "web-4k",
    version: 1,
    description: "H.265 and AAC up to 2160p for current browsers and televisions (mp4).",
    operations: [
      { type: "scale", width: 3840, height: 2160, mode: "fit", enlarge: false },
      { type: "transcode", video_codec: "h265", audio_codec: "aac", crf: 24, preset: "medium", audio_bitrate: "192k" },
    ],
    options: { faststart: true },
  },
  {
    name: "social-vertical",
    version: 1,
    description: "1080x1920 with bars where needed, 30 frames a second, even loudness (mp4).",
    operations: [
      { type: "scale", width: 1080, height: 1920, mode: "pad" },
      { type: "audio", normalize: true, target_lufs: -14, true_peak: -1 },
      { ...h264, profile: "high", crf: 21, preset: "medium", fps: 30, audio_bitrate: "128k", audio_channels: 2 },
    ],
    options: { faststart: true },
  },
  {
    name: "archive",
    version: 1,
    description: "H.264 with hardly a visible loss and lossless sound, for keeping (mkv).",
    operations: [{ type: "transcode", video_codec: "h264", audio_codec: "flac", crf: 14, preset: "slow" }],
    options: {},
  },
  {
    name: "podcast",
    version: 1,
    description: "Spoken sound at the loudness that players expect (mp3 or m4a).",
    operations: [
      { type: "audio", normalize: true, target_lufs: -16, true_peak: -1.5 },
      { type: "transcode", video_codec: "none", audio_bitrate: "128k", audio_sample_rate: 44_100, audio_channels: 2 },
    ],
    options: {},
  },
  {
    name: "gif",
    version: 1,
    description: "A loop 480 pixels wide with 12 pictures a second (gif).",
    operations: [
      { type: "scale", width: 480 },
      { type: "transcode", video_codec: "gif", fps: 12 },
    ],
    options: {},
  },
  {
    name: "preview",
    version: 1,
    description: "A small, quickly made film to look through (mp4).",
    operations: [
      { type: "scale", height: 360 },
      { ...h264, crf: 28, preset: "veryfast", audio_bitrate: "64k", audio_channels: 1 },
    ],
    options: { faststart: true },
  },
  {
    name: "editing",
    version: 1,
    description: "ProRes 422 HQ and uncompressed sound, for editing programs (mov).",
    operations: [{ type: "transcode", video_codec: "prores", audio_codec: "pcm_s16le", profile: "hq" }],
    options: {},
  },
];

const byName: ReadonlyMap<string, Preset> = new Map(BUILT_IN_PRESETS.map((preset) => [preset.name, preset]));

export const builtInPreset = (name: string): Preset | null => byName.get(name) ?? null;
