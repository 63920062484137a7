/** Why a child process failed: a kind, a sentence for the user, and the line that proves it. */
import { RendiffError } from "../errors.ts";
import { DISK_RULE, PROBE_RULES, type Rule, STEP_RULES, VERIFY_RULES } from "./diagnose-rules.ts";

export interface Failure {
  readonly exit: { readonly exitCode: number | null; readonly signal: string | null };
  readonly stderrTail: string;
  /** `probe`: ffprobe reading an input; `verify`: reading what we have made; `step`: FFmpeg at work. */
  readonly task: "probe" | "verify" | "step";
  /** The plan's step, for the message. */
  readonly step?: string;
  /** Set when it was stopped for using up its time, or for standing still; in milliseconds. */
  readonly timedOutAfterMs?: number;
  readonly stalledAfterMs?: number;
  /** What the process was allowed; null or absent for no limit. */
  readonly memoryBytesMax?: number | null;
  /** Folders that may appear in FFmpeg's words and are nobody's business. */
  readonly hiddenPaths?: readonly string[];
}

const EVIDENCE_LENGTH_MAX = 300;

/** A line without addresses, level, local paths and control characters. */
export function toEvidence(line: string, hiddenPaths: readonly string[] = []): string {
  let text = line;
  for (const path of hiddenPaths) {
    if (path !== "" && path !== "/") text = text.replaceAll(`file:${path}`, "(file)").replaceAll(path, "(file)");
  }
  // FFmpeg lists all that it would have accepted.
  text = text.replace(/(not on whitelist) '.*/, "$1");
  return (
    text
      .replace(/ @ 0x[0-9a-f]+/gi, "")
      .replace(/(^|\s)\[(trace|debug|verbose|info|warning|error|fatal|panic)\]\s/g, "$1")
      // x264 and x265 mark their own lines.
      .replace(/^(x26[45]) \[\w+\]:/, "$1:")
      // A path starts at a slash that stands at the beginning of a word.
      .replace(/(^|[\s'"`(=,:])(?:file:)?(?:\/[^\s'"`(),:;]+)+\/?/g, "$1(file)")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed.
      .replace(/[\u0000-\u001f\u007f]+/g, " ")
      .trim()
      .slice(0, EVIDENCE_LENGTH_MAX)
  );
}

const linesOf = (text: string): readonly string[] => text.split(/[\r\n]+/).filter((line) => line.trim() !== "");

/** The last line that says error, else the last line. */
function lastWord(lines: readonly string[]): string | undefined {
  return lines.findLast((line) => /\[(error|fatal|panic)\]/.test(line)) ?? lines.at(-1);
}

function match(rules: readonly Rule[], lines: readonly string[]): { rule: Rule; line: string } | null {
  for (const rule of rules) {
    const line = lines.find((one) => rule.pattern.test(one));
    if (line !== undefined) return { rule, line };
  }
  return null;
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} seconds`;
const mebibytes = (bytes: number) => `${Math.ceil(bytes / 1024 / 1024)} MiB`;

type Verdict = Pick<RendiffError, "kind" | "retry" | "publicMessage"> & { readonly hint?: string };

/** What we did to it, which is the cause whatever it said before it died. */
function ofDeadline(failure: Failure): Verdict | null {
  if (failure.timedOutAfterMs !== undefined) {
    const publicMessage = `The job was stopped after ${seconds(failure.timedOutAfterMs)}, which is all it may take.`;
    return {
      kind: "job.timeout",
      retry: "never",
      publicMessage,
      hint: "Send a shorter input, or ask for a faster preset.",
    };
  }
  if (failure.stalledAfterMs !== undefined) {
    const publicMessage = `FFmpeg made no progress for ${seconds(failure.stalledAfterMs)} and was stopped.`;
    return { kind: "ffmpeg.stalled", retry: "backoff", publicMessage };
  }
  return null;
}

/** A signal that nobody of us sent. */
function ofSignal(signal: string | null): Verdict | null {
  switch (signal) {
    case null:
      return null;
    case "SIGXFSZ":
      return {
        kind: "limit.exceeded",
        retry: "never",
        publicMessage: "The output grew beyond the size that was planned for it.",
        hint: "Ask for a lower bitrate, a smaller picture or a shorter piece.",
      };
    case "SIGXCPU":
      return {
        kind: "job.timeout",
        retry: "never",
        publicMessage: "FFmpeg used up the processor time that it may use.",
      };
    case "SIGKILL":
    case "SIGTERM":
    case "SIGINT":
    case "SIGHUP":
      return {
        kind: "ffmpeg.killed",
        retry: "backoff",
        publicMessage: "FFmpeg was killed from outside, as a machine out of memory does.",
      };
    default:
      return { kind: "ffmpeg.failed", retry: "never", publicMessage: `FFmpeg crashed (${signal}).` };
  }
}

function fallback(failure: Failure): Verdict {
  if (failure.task !== "step") {
    return { kind: "input.unreadable", retry: "never", publicMessage: "The input is damaged or is not a media file." };
  }
  const where = failure.step === undefined ? "" : ` in the step “${failure.step}”`;
  return { kind: "ffmpeg.failed", retry: "never", publicMessage: `FFmpeg failed${where}.` };
}

function ofRule({ rule }: { rule: Rule }, failure: Failure): Verdict {
  const budget = failure.memoryBytesMax ?? null;
  const publicMessage =
    rule.kind === "resource.memory" && budget !== null
      ? `FFmpeg needed more memory than the ${mebibytes(budget)} this job may use.`
      : rule.message;
  const verdict = { kind: rule.kind, retry: rule.retry, publicMessage };
  return rule.hint === undefined ? verdict : { ...verdict, hint: rule.hint };
}

const RULES = { probe: PROBE_RULES, verify: VERIFY_RULES, step: STEP_RULES } as const;

/** Says why; `failure` must be one. Whatever it is given, the answer holds no local path. */
export function diagnose(failure: Failure): RendiffError {
  const lines = linesOf(failure.stderrTail);
  const found = match(RULES[failure.task], lines);
  const verdict =
    ofDeadline(failure) ??
    (found?.rule.kind.startsWith("resource.") ? ofRule(found, failure) : null) ??
    ofSignal(failure.exit.signal) ??
    (found === null ? fallback(failure) : ofRule(found, failure));
  const line = found?.line ?? lastWord(lines);
  const evidence = line === undefined ? "" : toEvidence(line, failure.hiddenPaths);
  return new RendiffError({ ...verdict, ...(evidence === "" ? {} : { evidence }) });
}

/**
 * FFmpeg 5.1 may end with 0 although its last write failed; it says so on stderr only. Null when nothing there says that a
 * write failed.
 */
export function diagnoseLostWrite(stderrTail: string, hiddenPaths: readonly string[] = []): RendiffError | null {
  const lost = /Error (writing trailer|closing file)|av_interleaved_write_frame\(\): /i;
  const line = linesOf(stderrTail).find((one) => DISK_RULE.pattern.test(one) || lost.test(one));
  if (line === undefined) return null;
  return diagnose({ exit: { exitCode: 0, signal: null }, stderrTail: line, task: "step", hiddenPaths });
}
