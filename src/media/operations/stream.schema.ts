/** `stream`: a package for adaptive players; the body of `POST /stream` beside its places. */
import { z } from "zod";
import { bitrate, frameRate, pixels, reference } from "./scalars.ts";
import { transcodeSchema } from "./transcode.schema.ts";

export const STREAM_FORMATS = ["hls", "dash", "both"] as const;
export const STREAM_CONTAINERS = ["cmaf", "ts"] as const;
export const STREAM_ENCRYPTIONS = ["none", "aes-128", "cbcs"] as const;
export const STREAM_VIDEO_CODECS = ["h264", "h265", "vp9", "av1"] as const;
export const STREAM_AUDIO_CODECS = ["aac", "ac3", "eac3", "opus"] as const;

export type StreamVideoCodec = (typeof STREAM_VIDEO_CODECS)[number];
export type StreamAudioCodec = (typeof STREAM_AUDIO_CODECS)[number];

const VARIANTS_MAX = 10;
const AUDIO_MAX = 16;
const CAPTIONS_MAX = 32;
const oneOf = (names: readonly string[]): string => `must be one of ${names.join(", ")}`;

/** BCP 47 as far as players read it. */
export const language = z
  .string("must be a language such as en or pt-BR")
  .regex(/^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,3}$/, "must be a language such as en or pt-BR");

const variantSchema = z.strictObject({
  height: pixels.describe("Of the picture; of its shorter side when the source is upright."),
  width: pixels.optional().describe("Default: as the picture's shape demands."),
  bitrate: bitrate.optional().describe("Default: what the built-in ladder gives this size."),
  codec: z
    .enum([...STREAM_VIDEO_CODECS, "hevc"], oneOf([...STREAM_VIDEO_CODECS, "hevc"]))
    .transform((name): StreamVideoCodec => (name === "hevc" ? "h265" : name))
    .optional(),
  fps: frameRate.optional(),
  preset: transcodeSchema.shape.preset.describe("The encoder's own, by name or number; default: as in transcode."),
});

const audioRenditionSchema = z.strictObject({
  bitrate: bitrate.optional(),
  language: language.optional().describe("The source's track of this language; the name of its only track otherwise."),
  codec: z.enum(STREAM_AUDIO_CODECS, oneOf(STREAM_AUDIO_CODECS)).optional(),
});

const captionsSchema = z.strictObject({
  path: reference.describe("URI of the file."),
  language,
});

const keyUri = z
  .string("must be a URL")
  .max(2_048, "must have at most 2048 characters")
  // It is printed between quotes into playlists and manifests.
  .regex(
    /^(https?|skd|data):[^\s"<>\\^`{|}\p{C}]+$/u,
    "must be an http, https, skd or data URL without spaces or quotes",
  );

/** What describes the package, without its places. */
export const streamFields = {
  format: z.enum(STREAM_FORMATS, oneOf(STREAM_FORMATS)).default("hls"),
  segment_duration: z
    .number("must be seconds")
    .min(1, "must be at least 1 second")
    .max(30, "must be at most 30 seconds")
    .default(6)
    .describe("Seconds; segments end with the group of pictures nearest to it."),
  variants: z
    .array(variantSchema)
    .min(1, "must name a variant, or be left out")
    .max(VARIANTS_MAX, `must name at most ${VARIANTS_MAX} variants`)
    .optional()
    .describe("Default: a ladder chosen from the source, never above its size or rate."),
  audio: z
    .array(audioRenditionSchema)
    .max(AUDIO_MAX, `must name at most ${AUDIO_MAX} renditions`)
    .optional()
    .describe("Default: each of the source's tracks; an empty list leaves the sound out."),
  container: z.enum(STREAM_CONTAINERS, oneOf(STREAM_CONTAINERS)).default("cmaf"),
  encryption: z.enum(STREAM_ENCRYPTIONS, oneOf(STREAM_ENCRYPTIONS)).default("none"),
  key_uri: keyUri.optional().describe("What players fetch; the key file is then an output beside the folder."),
  captions: z
    .array(captionsSchema)
    .max(CAPTIONS_MAX, `must name at most ${CAPTIONS_MAX} languages`)
    .optional()
    .describe("Files of captions (srt, vtt, ass), which become renditions of WebVTT."),
  thumbnails: z
    .boolean("must be true or false")
    .default(false)
    .describe("Playlists of key frames alone, from which players show pictures while seeking."),
};

export const streamSchema = z.strictObject({
  type: z.literal("stream"),
  ...streamFields,
  key_base: z.string().optional().describe("Set by the server: where it serves keys."),
});

export type StreamOperation = z.output<typeof streamSchema>;
export type StreamVariant = z.output<typeof variantSchema>;
export type AudioRendition = z.output<typeof audioRenditionSchema>;
