/** `transcode`: how the main output is encoded. What a codec takes is checked in check.ts, which knows the codec. */
import { z } from "zod";
import { bitrate, dimension, frameRate } from "./scalars.ts";

export const VIDEO_CODECS = ["h264", "h265", "vp8", "vp9", "av1", "prores", "mpeg2", "gif", "webp"] as const;
export const AUDIO_CODECS = [
  "aac",
  "mp3",
  "opus",
  "vorbis",
  "flac",
  "ac3",
  "eac3",
  "alac",
  "pcm_s16le",
  "pcm_s24le",
] as const;

export type VideoCodec = (typeof VIDEO_CODECS)[number];
export type AudioCodec = (typeof AUDIO_CODECS)[number];

/** As in encoders/hardware.ts, which knows what each can do. */
const HARDWARE_CHOICES = ["none", "auto", "nvenc", "qsv", "amf", "vaapi", "videotoolbox"] as const;

const oneOf = (names: readonly string[]): string => `must be one of ${names.join(", ")}`;
const VIDEO_CHOICES = [...VIDEO_CODECS, "hevc", "copy", "none"] as const;
const AUDIO_CHOICES = [...AUDIO_CODECS, "copy", "none"] as const;
const word = (what: string) =>
  z.string(`must be the name of ${what}`).regex(/^[a-zA-Z0-9_.:-]{1,32}$/, `is no ${what}`);

export const transcodeSchema = z.strictObject({
  type: z.literal("transcode"),
  video_codec: z
    .enum(VIDEO_CHOICES, oneOf(VIDEO_CHOICES))
    .transform((name) => (name === "hevc" ? ("h265" as const) : name))
    .optional()
    .describe("copy keeps the stream as it is, none drops it; default: what the container is made for."),
  audio_codec: z.enum(AUDIO_CHOICES, oneOf(AUDIO_CHOICES)).optional(),
  preset: z
    .union([word("preset"), z.int()], "must be the encoder's name or number of a preset")
    .transform((value) => String(value))
    .optional(),
  tune: word("tune").optional(),
  profile: word("profile").optional(),
  level: z
    .union([word("level"), z.number()], "must be a level such as 4.1")
    .transform((value) => (typeof value === "number" && Number.isInteger(value) ? `${value}.0` : String(value)))
    .optional(),
  pixel_format: word("pixel format").optional(),
  crf: z.number("must be a number").optional().describe("Constant quality; the range depends on the codec."),
  video_bitrate: bitrate.optional(),
  max_bitrate: bitrate.optional(),
  buffer_size: bitrate.optional(),
  audio_bitrate: bitrate.optional(),
  width: dimension.optional(),
  height: dimension.optional(),
  fps: frameRate.optional(),
  gop_size: z
    .int("must be a whole number of frames")
    .min(1, "must be at least 1")
    .max(10_000, "must be at most 10000")
    .optional(),
  b_frames: z.int("must be a whole number").min(0, "must be at least 0").max(16, "must be at most 16").optional(),
  two_pass: z.boolean("must be true or false").optional(),
  audio_sample_rate: z
    .int("must be a whole number of Hz")
    .min(8_000, "must be at least 8000")
    .max(192_000, "must be at most 192000")
    .optional(),
  audio_channels: z.int("must be a whole number").min(1, "must be at least 1").max(8, "must be at most 8").optional(),
  hardware_acceleration: z
    .enum(HARDWARE_CHOICES, oneOf(HARDWARE_CHOICES))
    .optional()
    .describe("auto: where it works, with a warning where not; a name: that one or an error; default none."),
});

export type Transcode = z.output<typeof transcodeSchema>;
