/** What `POST /analyze` measures, and the shape of what it finds. */
export const METRICS = [
  "vmaf",
  "psnr",
  "ssim",
  "ms_ssim",
  "loudness",
  "blackdetect",
  "freezedetect",
  "silence",
  "scenes",
] as const;
export type Metric = (typeof METRICS)[number];

/** Those that hold the distorted picture against the reference. */
export const COMPARING: readonly Metric[] = ["vmaf", "psnr", "ssim", "ms_ssim"];
/** Those that look at the picture, and those that listen. */
export const LOOKING: readonly Metric[] = [...COMPARING, "blackdetect", "freezedetect", "scenes"];
export const LISTENING: readonly Metric[] = ["loudness", "silence"];

/**
 * Models that a libvmaf may have inside or beside it; older ones lack some, which a start finds out. Collections such as
 * `vmaf_b_v0.6.3` are not among them: FFmpeg's filter cannot load one.
 */
export const VMAF_MODELS = ["vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg"] as const;
export type VmafModel = (typeof VMAF_MODELS)[number];
export const DEFAULT_VMAF_MODEL: VmafModel = "vmaf_v0.6.1";

/** Over frames: 0–100 for VMAF, 0–1 for MS-SSIM. `p5`: 95 % of the frames are better. */
export interface Pooled {
  readonly score: number;
  readonly min: number;
  readonly max: number;
  readonly harmonic_mean: number;
  readonly p5: number;
}

/** Decibels; null where both pictures are equal, which is infinite. */
export interface Psnr {
  readonly y: number | null;
  readonly u: number | null;
  readonly v: number | null;
  readonly avg: number | null;
  readonly min: number | null;
  readonly max: number | null;
}

export interface Ssim {
  readonly score: number;
  readonly y: number;
  readonly u: number | null;
  readonly v: number | null;
}

/** EBU R128. Levels in LUFS and dBFS, range in LU; null below what can be measured. */
export interface Loudness {
  readonly integrated: number | null;
  readonly range: number | null;
  readonly true_peak: number | null;
}

/** Seconds. */
export interface Interval {
  readonly start: number;
  readonly end: number;
}

/** Where something is the case: black, frozen, silent. The list is cut at 1,000; all else is of all. */
export interface Found {
  readonly count: number;
  readonly seconds: number;
  readonly longest: number;
  readonly intervals: readonly Interval[];
}

export interface Scenes {
  readonly count: number;
  readonly times: readonly number[];
}
