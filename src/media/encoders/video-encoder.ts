/** What the compiler knows of one family of video encoders, and asks of it. */
import type { VideoCodec } from "../operations/transcode.schema.ts";

/** Codecs of single pictures, which thumbnails and picture outputs use, beside those a client may name. */
export type PictureCodec = VideoCodec | "png" | "mjpeg";

export interface CrfRange {
  readonly min: number;
  readonly max: number;
  readonly default: number;
  /** x264 and x265 take fractions. */
  readonly fractions: boolean;
}

/** Values with every default filled in; what the codec does not take is null. */
export interface VideoSettings {
  readonly preset: string | null;
  readonly tune: string | null;
  readonly profile: string | null;
  readonly level: string | null;
  readonly crf: number | null;
  readonly bitrate: number | null;
  readonly maxBitrate: number | null;
  readonly bufferSize: number | null;
  readonly gopSize: number | null;
  readonly bFrames: number | null;
  /** 1–100, pictures only. */
  readonly quality: number | null;
  /** Key frames at `gopSize` and nowhere else, and nothing that refers across them: what segments are cut at. */
  readonly fixedGop?: boolean;
}

export interface Pass {
  readonly number: 1 | 2;
  /** Prefix of the log files, relative to the work folder. */
  readonly log: string;
}

export interface EncodeContext {
  /** FFmpeg's name, the one of `encoders` that this FFmpeg has. */
  readonly encoder: string;
  readonly pixelFormat: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly threads: number;
  readonly pass: Pass | null;
}

/** A file in an argument, in a form that `printArgs` knows. */
export type EncoderArg = string | { readonly file: string; readonly form: "path" | "option"; readonly prefix?: string };

/** MB of address space: `base + perMegapixel × MP + threads × (perThread + perThreadMegapixel × MP)`. */
export interface MemoryModel {
  readonly baseMb: number;
  readonly perMegapixelMb: number;
  readonly perThreadMb: number;
  readonly perThreadMegapixelMb: number;
}

export interface VideoEncoder {
  readonly codec: PictureCodec;
  /** As ffprobe names what it makes. */
  readonly probed: string;
  /** FFmpeg's names, preferred first. */
  readonly encoders: readonly string[];
  readonly crf: CrfRange | null;
  readonly takesBitrate: boolean;
  readonly takesMaxBitrate: boolean;
  readonly twoPass: boolean;
  readonly takesGop: boolean;
  readonly bFramesMax: number;
  readonly presets: readonly string[];
  readonly tunes: readonly string[];
  /** Each profile with the pixel formats it can hold, preferred first. */
  readonly profiles: Readonly<Record<string, readonly string[]>>;
  readonly levels: readonly string[];
  readonly pixelFormats: readonly string[];
  /** Frame rates it can hold; empty for any. */
  readonly frameRates: readonly (readonly [number, number])[];
  readonly sizeMax: number;
  /** Width and height that an encoder needs, by FFmpeg's name; others take any. */
  readonly sizeMin?: Readonly<Record<string, readonly [number, number]>>;
  readonly memory: MemoryModel;
  /** Of what is neither said by bitrate nor by the codec: bits a pixel that ordinary films stay below. */
  bitsPerPixelMax(settings: VideoSettings): number;
  /** The format for a source of this depth and alpha, where the client names none. */
  pixelFormat(source: { readonly bitDepth: number; readonly hasAlpha: boolean; readonly chroma: string }): string;
  /** Arguments after `-c:v {encoder}`, for the one video stream of an output. */
  args(settings: VideoSettings, context: EncodeContext): readonly EncoderArg[];
}

/** `-name value` for each that is given. */
export function optional(pairs: readonly (readonly [string, string | number | null])[]): string[] {
  return pairs.flatMap(([name, value]) => (value === null ? [] : [name, String(value)]));
}

/** Rate control that every encoder reads in the same words. */
export const rateArgs = (settings: VideoSettings): string[] =>
  optional([
    ["-b:v:0", settings.bitrate],
    ["-maxrate:v:0", settings.maxBitrate],
    ["-bufsize:v:0", settings.maxBitrate === null ? null : (settings.bufferSize ?? settings.maxBitrate * 2)],
  ]);

/** `-pass` and where its log lies, for the encoders that FFmpeg gives them to. */
export const passArgs = (pass: Pass | null): EncoderArg[] =>
  pass === null ? [] : ["-pass:v:0", String(pass.number), "-passlogfile:v:0", { file: pass.log, form: "path" }];

/** Bits a pixel of a constant-quality encode: they double each `step` of crf. */
export const bitsOfCrf = (atReference: number, reference: number, step: number, crf: number): number =>
  atReference * 2 ** ((reference - crf) / step);
