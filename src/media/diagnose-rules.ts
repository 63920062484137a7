/** What FFmpeg's own words mean. The first rule that matches any line wins, so causes come before their consequences. */
import type { JobErrorKind, Retry } from "../errors.ts";

export interface Rule {
  readonly pattern: RegExp;
  readonly kind: JobErrorKind;
  readonly retry: Retry;
  readonly message: string;
  readonly hint?: string;
}

const rule = (pattern: RegExp, kind: JobErrorKind, message: string, hint?: string, retry: Retry = "never"): Rule =>
  hint === undefined ? { pattern, kind, retry, message } : { pattern, kind, retry, message, hint };

export const DISK_RULE = rule(
  /No space left on device|Disk quota exceeded/i,
  "resource.disk",
  "There was not enough disk space to write the output.",
  "Try again when other jobs have ended, or ask the operator for more temporary space.",
  "backoff",
);

const NO_MEMORY =
  /Cannot allocate memory|malloc of size \d+ failed|bad_alloc|out of memory|memory allocation failed|could ?n.t allocate/i;

/** Failures of the machine: they say nothing about the input, and their symptoms look like bad media. */
const RESOURCE_RULES: readonly Rule[] = [
  DISK_RULE,
  rule(
    /File too large/i,
    "limit.exceeded",
    "The output grew beyond the size that was planned for it.",
    "Ask for a lower bitrate, a smaller picture or a shorter piece.",
  ),
  rule(
    NO_MEMORY,
    "resource.memory",
    "FFmpeg needed more memory than this job may use.",
    "Ask for a smaller picture, a faster preset or fewer threads.",
  ),
  rule(
    /Input\/output error|Stale file handle|Read-only file system/i,
    "resource.disk",
    "The temporary disk could not be read or written.",
    undefined,
    "backoff",
  ),
];

const PLAN_RULES: readonly Rule[] = [
  rule(
    /Picture size \S+ (is invalid|exceeds)|Value \S+ for parameter 'i?h?w?' out of range/i,
    "limit.exceeded",
    "A picture in this job is larger than is allowed.",
    "Ask for a smaller width and height.",
  ),
  rule(
    /Cannot load lib(cuda|nvcuvid|mfx|vpl)|No VA display found|No device available for|Device creation failed|OpenEncodeSessionEx failed|Failed to initiali[sz]e VAAPI/i,
    "plan.unsupported",
    "The hardware encoder that was asked for does not work on this machine.",
    "Leave hardware_acceleration out.",
  ),
  rule(
    /Unknown encoder|Encoder not found|No such filter|Filter not found|Requested output format '.*' is not|Unable to find a suitable output format|Unrecognized option|Unknown bitstream filter/i,
    "plan.unsupported",
    "This FFmpeg lacks something that the job needs.",
  ),
  rule(
    /Could not find tag for codec|supported for WebM|codec not currently supported in container|does not support|doesn't support|only supports|Specified (sample|pixel|channel) \S+ .* (not supported|is invalid)/i,
    "plan.invalid",
    "The output's container or encoder cannot hold what was asked for.",
    "Choose another codec or another format.",
  ),
  rule(
    /matches no streams|Output file (#\d+ )?does not contain any stream/i,
    "plan.invalid",
    "The input has no stream of the kind that this job needs.",
  ),
  rule(
    /Error setting (option|profile|preset)|Possible presets|Could not write header|incorrect codec parameters|maybe incorrect parameters|Error while opening encoder|Error (re)?initializing filter|Error (re)?configuring filter|Undefined constant|Failed to set value/i,
    "plan.invalid",
    "FFmpeg refused this combination of parameters.",
    "Change the codec's parameters: profile, level, pixel format, size or bitrate.",
  ),
];

const INPUT_RULES: readonly Rule[] = [
  rule(
    /not on (the )?whitelist|not on whitelist/i,
    "input.unsupported",
    "The input is of a format that is not accepted, such as a playlist that names other files.",
    "Send the media file itself.",
  ),
  rule(
    /Decoder \(codec .*\) not found|no decoder found for|Decoder not found|Unsupported codec|Could not find codec parameters/i,
    "input.unsupported",
    "The input holds a codec that this FFmpeg cannot decode.",
  ),
  rule(
    /moov atom not found/i,
    "input.unreadable",
    "The input is not a complete file: its index is missing.",
    "The upload or the recording may have been cut off; send the whole file.",
  ),
  rule(
    /Invalid data found when processing input|could not find sync|Failed to read frame size|Failed to find two consecutive|EBML header parsing failed|partial file|File ended prematurely|Truncat(ed|ing)|Error opening input/i,
    "input.unreadable",
    "The input is damaged or is not a media file.",
  ),
];

const HOST_RULES: readonly Rule[] = [
  rule(
    /^bwrap: |No such file or directory|Permission denied|Operation not permitted|error while loading shared libraries/i,
    "ffmpeg.failed",
    "FFmpeg could not run on this machine.",
    undefined,
    "backoff",
  ),
];

/** When FFmpeg encodes, its encoder's refusal comes first; what it says of the input is often only a warning. */
export const STEP_RULES: readonly Rule[] = [...RESOURCE_RULES, ...PLAN_RULES, ...INPUT_RULES, ...HOST_RULES];
const READING_RULES: readonly Rule[] = [...INPUT_RULES, ...PLAN_RULES.filter((one) => one.kind === "limit.exceeded")];
/** When ffprobe reads a client's file there is nothing but that to blame. */
export const PROBE_RULES: readonly Rule[] = [
  rule(
    NO_MEMORY,
    "input.unreadable",
    "The input says of itself that it needs more memory to be read than any sound file does.",
    "It is damaged, or made to use up memory.",
  ),
  ...READING_RULES,
];
/** When it reads what we have made, want of memory says nothing of the file. */
export const VERIFY_RULES: readonly Rule[] = [
  ...RESOURCE_RULES.filter((one) => one.kind === "resource.memory"),
  ...READING_RULES,
];
