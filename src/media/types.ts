/**
 * What media is pure about: a probed input, what a deployment can do, and the typed plan between them.
 *
 * `compile(request) → Plan → argv[][]` touches no clock, no disk and no process. Paths in a plan are relative to the
 * attempt's work folder and are resolved last, so a plan is stable text: it is stored, shown by `dry_run`, and compared
 * with golden files.
 */

import type { CaptionsTask } from "./captions/print.ts";
import type { CrfGrid } from "./measure/crf-search.ts";
import type { VmafAbility } from "./measure/vmaf-ability.ts";
import type { QualityTarget, VerifyPolicy } from "./operations/quality.schema.ts";

export interface Rational {
  readonly num: number;
  readonly den: number;
}

interface StreamBase {
  /** Index in the file, as FFmpeg's `0:{index}`. */
  readonly index: number;
  readonly codec: string;
  readonly profile: string | null;
  readonly bitrate: number | null;
  readonly durationSeconds: number | null;
  readonly startSeconds: number;
  readonly language: string | null;
  readonly title: string | null;
  readonly isDefault: boolean;
}

export interface VideoStream extends StreamBase {
  readonly kind: "video";
  /** Coded size, before rotation. */
  readonly codedWidth: number;
  readonly codedHeight: number;
  /** As a player shows it: rotation and sample aspect ratio applied to neither; rotation swaps the sides. */
  readonly width: number;
  readonly height: number;
  /** Clockwise, from the display matrix: 0, 90, 180 or 270; other angles are rounded with a warning. */
  readonly rotation: 0 | 90 | 180 | 270;
  readonly sampleAspect: Rational;
  readonly pixelFormat: string | null;
  readonly bitDepth: number;
  readonly hasAlpha: boolean;
  /** How many frames a decoder keeps back because they are shown later; absent when unknown. */
  readonly reorderFrames?: number;
  readonly averageFps: number | null;
  readonly nominalFps: number | null;
  readonly isVariableFps: boolean;
  readonly frameCount: number | null;
  readonly level: number | null;
  readonly colorSpace: string | null;
  readonly colorTransfer: string | null;
  readonly colorPrimaries: string | null;
  readonly colorRange: string | null;
  readonly hdr: "sdr" | "hdr10" | "hlg" | "dolby_vision";
  readonly interlaced: boolean;
  /** Cover art: never the main picture. */
  readonly attachedPicture: boolean;
  /** A single picture (PNG, JPEG, …), not a film. */
  readonly still: boolean;
}

export interface AudioStream extends StreamBase {
  readonly kind: "audio";
  readonly sampleRate: number;
  readonly channels: number;
  readonly channelLayout: string | null;
  readonly sampleFormat: string | null;
}

export interface SubtitleStream extends StreamBase {
  readonly kind: "subtitle";
  readonly textBased: boolean;
}

export interface OtherStream extends StreamBase {
  readonly kind: "other";
  readonly codecType: string;
}

export type MediaStream = VideoStream | AudioStream | SubtitleStream | OtherStream;

/** ffprobe's answer, normalised. Found by content: the extension never decides. */
export interface MediaInfo {
  /** FFmpeg's demuxer names, as in `mov,mp4,m4a,3gp,3g2,mj2`. */
  readonly demuxers: readonly string[];
  /** Our name for the container: mp4, mov, mkv, webm, avi, ts, mp3, wav, flac, ogg, png, gif, … or FFmpeg's first name. */
  readonly container: string;
  readonly sizeBytes: number | null;
  readonly durationSeconds: number | null;
  readonly startSeconds: number;
  readonly bitrate: number | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly streams: readonly MediaStream[];
  readonly chapters: number;
  /** Of the picture, in seconds from the beginning, around the edges of an exact trim; absent: not looked for. */
  readonly keyframes?: readonly number[];
  readonly warnings: readonly string[];
}

export type Ability = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What one worker exercised at start. */
export interface Capabilities {
  readonly ffmpegVersion: string;
  /** 5, 6, 7, 8, 9; development builds count as the newest. */
  readonly ffmpegMajor: number;
  readonly ffprobeVersion: string;
  /** By FFmpeg's encoder name: libx264, libx265, aac, … each tried with a real encode. */
  readonly encoders: Readonly<Record<string, Ability>>;
  /** By FFmpeg's decoder name (listed, not exercised). */
  readonly decoders: readonly string[];
  readonly filters: Readonly<Record<string, Ability>>;
  readonly muxers: Readonly<Record<string, Ability>>;
  readonly demuxers: readonly string[];
  readonly accelerators: Readonly<Record<string, Ability>>;
  readonly sandbox: Ability;
  /** Shaka Packager, started at least once; absent in what older workers wrote of themselves. */
  readonly packager?: Ability;
  /** The FFmpeg that measures VMAF: the deployment's own, or the one that VMAF_FFMPEG_PATH names. */
  readonly vmaf?: VmafAbility;
  /** The `-format_whitelist` for user inputs: allowed names that this FFmpeg has. */
  readonly inputFormats: readonly string[];
}

/** Limits on media, from configuration; enforced on the probed input and on the planned output. */
export interface MediaLimits {
  readonly maxInputBytes: number;
  readonly maxDurationSeconds: number;
  readonly maxOperations: number;
  /** In either orientation. */
  readonly maxWidth: number;
  readonly maxHeight: number;
  readonly maxBitrate: number;
  readonly maxOutputs: number;
  /** Whether the operation raw may be used; absent: no. */
  readonly allowRawOptions?: boolean;
  readonly maxStreams: number;
}

export interface PlanInput {
  /** Relative to the work folder: `in/0`. */
  readonly file: string;
  readonly media: MediaInfo;
}

/**
 * How a file stands in its argument: as FFmpeg's URL (`file:` in front, the default), as a bare path for what opens it
 * without FFmpeg's protocols, as an image sequence's pattern, or as a value inside a `key=value:…` string.
 */
export type FileForm = "url" | "path" | "pattern" | "option";

/** One argument: literal text, or a file of the work folder, after `prefix`. */
export type Arg = string | { readonly file: string; readonly form?: FileForm; readonly prefix?: string };

export interface PlanStep {
  /** Unique in the plan, as shown to users: `encode`, `pass-1`, `thumbnails`. */
  readonly id: string;
  /** Absent: FFmpeg. */
  readonly program?: "packager" | "vmaf";
  /** Of the packager: it encrypts, and is told the key when it is started. */
  readonly encrypts?: boolean;
  /** Everything after the program's name and the fixed head (`-nostdin … -progress pipe:1`); see src/ffmpeg/step.ts. */
  readonly args: readonly Arg[];
  readonly filterGraph: string | null;
  /** Seconds of output this step will make, for progress; null when unknown. */
  readonly durationSeconds: number | null;
  /** Its share of the job's encoding time, 0–1; the steps sum to 1. */
  readonly weight: number;
  readonly threads: number;
  /** Address space the process may use (RLIMIT_AS), also for admission. */
  readonly memoryBytesMax: number;
  /** Upper bound for any file it writes (RLIMIT_FSIZE). */
  readonly fileBytesMax: number;
  /** Files it writes, relative to the work folder. */
  readonly writes: readonly string[];
  /** What of the machine it has to see, absolute; those that are missing are left out. Its address space is not limited. */
  readonly devices?: readonly string[];
  /** The input that it reads from its standard input, as it is fetched; its arguments say `pipe:0` there. */
  readonly stdin?: string;
  /** Measurements of earlier steps that its arguments hold placeholders for; see measured.ts. */
  readonly needs?: readonly string[];
  /** What it finds out, read when it has ended. */
  readonly findings?: readonly Finding[];
  /** What it prints of the sound's loudness, in the order of the graph. */
  readonly measures?: readonly Measure[];
}

/** What a step finds out, and where it says so: in a text file that it writes, or in what it prints. */
export interface Finding {
  /** What the values are called among the job's results; unique in the plan. */
  readonly name: string;
  /** Which reader of `measure/parse.ts` takes it. */
  readonly kind: FindingKind;
  /** Relative to the work folder; null: the end of what FFmpeg prints on stderr. */
  readonly file: string | null;
  /** Of intervals: shorter ones do not count, and what has no end lasts to the end of the file; 0 where that is not known. */
  readonly minSeconds?: number;
  readonly endSeconds?: number;
}

export type FindingKind = "vmaf" | "psnr" | "ssim" | "loudness" | "intervals" | "instants" | "moments";

/** `before`: for a later step. `after`: of what was made, for the job's results. `again`: of what is measured elsewhere. */
export interface Measure {
  readonly name: string;
  readonly when: "before" | "after" | "again";
  readonly targetLufs: number;
}

export interface ExpectedVideo {
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number | null;
}
export interface ExpectedAudio {
  readonly codec: string;
  readonly channels: number | null;
  readonly sampleRate: number | null;
}

/** What verification holds an output to before it is published. */
export interface Expectation {
  /** Any of these demuxer names must be among the probed file's. */
  readonly demuxers: readonly string[];
  readonly durationSeconds: number | null;
  readonly durationToleranceSeconds: number;
  readonly video: readonly ExpectedVideo[];
  readonly audio: readonly ExpectedAudio[];
  readonly subtitles: number;
  /** A still picture: no duration, one frame. */
  readonly still: boolean;
  /** Every frame is decoded, however long that takes. */
  readonly fullDecode?: boolean;
}

export type OutputRole =
  | "primary"
  | "thumbnail"
  | "audio"
  | "preview"
  | "waveform"
  | "map"
  | "key"
  | "manifest"
  | "segment"
  | "report";

/** A file that is put into the work folder before the first step: a user's text, captions written anew, or our font. */
export type PlanFile =
  | { readonly file: string; readonly text: string }
  | { readonly file: string; readonly captions: { readonly from: string; readonly task: CaptionsTask } }
  | { readonly file: string; readonly asset: "font" };

export interface PlannedOutput {
  readonly role: OutputRole;
  /** The finished file in the work folder: `out/0.mp4`. */
  readonly file: string;
  /** Null: `output_path` itself. Otherwise a name beside it. */
  readonly name: string | null;
  readonly mediaType: string;
  readonly expect: Expectation;
  /** A file that no program writes: it is made of this once the steps have run, and holds no media. */
  readonly content?: Content;
}

/** A file of one line per frame (or tenth of a second, for loudness), as a step leaves it behind. */
export interface FrameLog {
  readonly kind: "vmaf" | "psnr" | "ssim" | "moments";
  readonly file: string;
}

export type Content =
  /** JSON of what was measured of each frame, merged by its number. */
  | { readonly kind: "frames"; readonly logs: readonly FrameLog[] }
  | { readonly kind: "text"; readonly text: string }
  /** JSON of the lowest and highest of the 16-bit samples in `from`, of each of `parts` equal parts. */
  | { readonly kind: "peaks"; readonly from: string; readonly sampleRate: number; readonly parts: number };

export interface PackageRendition {
  /** `v0`, `a1`, `t2`: names its folder and playlist. */
  readonly id: string;
  readonly kind: "video" | "audio" | "text";
  /** As ffprobe names it. */
  readonly codec: string;
  /** Bits per second that were asked for; 0 of text. */
  readonly bitrate: number;
  /** Null for sound. */
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number | null;
  readonly language: string | null;
  /** Renditions of sound that players choose among. */
  readonly group: string | null;
}

/** A folder of segments with what names them; which files it has is known when it is made. */
export interface PackagePlan {
  /** In the work folder. */
  readonly folder: string;
  /** The folder's name, which is the last part of `output_path`. */
  readonly name: string;
  /** Below `folder`, of this attempt alone: all but the two entries lie in it. */
  readonly segments: string;
  readonly container: "cmaf" | "ts";
  /** Entries to be published; the packager's HLS playlists are made in any case, to be checked. */
  readonly hls: string | null;
  readonly dash: string | null;
  readonly segmentSeconds: number;
  readonly gopSeconds: number;
  readonly durationSeconds: number | null;
  readonly durationToleranceSeconds: number;
  readonly renditions: readonly PackageRendition[];
  readonly thumbnails: boolean;
  readonly encryption: "none" | "aes-128" | "cbcs";
  /** What players fetch: the client's own URI, or where the server serves keys. */
  readonly keyUri: string | null;
  readonly keyBase: string | null;
}

/** How an input reaches FFmpeg, and why so; the reason ends a sentence about the input. */
export interface PlannedTransfer {
  readonly file: string;
  readonly mode: "in_place" | "streamed" | "downloaded";
  readonly reason: string;
}

/** What `options.verify` holds the first output to, beside its expectation. */
export interface PolicyPlan {
  readonly policy: VerifyPolicy;
  /** Of the input after all operations; null when unknown. */
  readonly durationSeconds: number | null;
}

/** A part of the film, encoded and measured at a crf that is to be put in. */
export interface SearchSample {
  /** In the input's time. */
  readonly startSeconds: number;
  /** In the output's time. */
  readonly durationSeconds: number;
  /** Its encode, in the work folder. */
  readonly file: string;
  readonly steps: readonly PlanStep[];
}

/** How the crf is found that `options.target` asks for; the steps of the plan hold its placeholder until then. */
export interface SearchPlan {
  readonly target: QualityTarget;
  readonly grid: CrfGrid;
  readonly samples: readonly SearchSample[];
  /** There is one sample, which is the whole film. */
  readonly whole: boolean;
  /** Of the input's picture; null when unknown. */
  readonly pictureBytes: number | null;
  readonly outputSeconds: number;
  /** Its share of the encoding time; those of the steps sum to the rest. */
  readonly weight: number;
}

export interface Plan {
  readonly version: 1;
  /** The preset that the spec was made with, and its version: `web@1`. */
  readonly preset?: string;
  readonly files: readonly PlanFile[];
  readonly steps: readonly PlanStep[];
  readonly outputs: readonly PlannedOutput[];
  /** What a packaging job makes instead of `outputs`. */
  readonly package?: PackagePlan;
  readonly policy?: PolicyPlan;
  readonly search?: SearchPlan;
  /** One for each input; see transfers.ts. */
  readonly transfers?: readonly PlannedTransfer[];
  readonly warnings: readonly string[];
  /** True when no stream is re-encoded. */
  readonly copiesOnly: boolean;
  /** Upper estimate of all that the attempt writes into the work folder, for the space reservation. */
  readonly workBytesMax: number;
}

export interface EncodeProgress {
  /** 0–100 of the step. */
  readonly percent: number;
  readonly frame: number | null;
  readonly fps: number | null;
  readonly speed: number | null;
  readonly etaSeconds: number | null;
  readonly outSeconds: number | null;
}
