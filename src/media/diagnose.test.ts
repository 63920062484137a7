import { describe, expect, test } from "bun:test";
import type { ErrorKind, Retry } from "../errors.ts";
import { diagnose, diagnoseLostWrite, type Failure, toEvidence } from "./diagnose.ts";

/** Real last words, of 5.1 and 9.0 side by side: what failed, the task, stderr, and what it means. */
const SAMPLES: readonly [string, Failure["task"], string, ErrorKind, Retry, string][] = [
  [
    "cut mp4, 5.1",
    "probe",
    "[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55cf89ffa9c0] [error] moov atom not found\n[error] file:/w/in/0: Invalid data found when processing input",
    "input.unreadable",
    "never",
    "moov atom not found",
  ],
  [
    "cut mp4, 9.0",
    "step",
    "[in#0 @ 0x5635e56d71c0] [error] moov atom not found\n[in#0 @ 0x5635e56d6e40] [error] Error opening input: Invalid data found when processing input\n[error] Error opening input file file:/w/in/0.\n[fatal] Error opening input files: Invalid data found when processing input",
    "input.unreadable",
    "never",
    "moov atom not found",
  ],
  [
    "random bytes, 5.1",
    "probe",
    "[mp3 @ 0x556939ffe9c0] [error] Failed to read frame size: Could not seek to 4023.\n[error] file:/w/in/0: Invalid argument",
    "input.unreadable",
    "never",
    "Failed to read frame size",
  ],
  [
    "concat script, 9.0",
    "probe",
    "[in#0 @ 0x560d927611c0] [error] Format not on whitelist 'mov,mp4,matroska'\n[in#0 @ 0x560d92760e40] [error] Error opening input: Invalid argument",
    "input.unsupported",
    "never",
    "Format not on whitelist",
  ],
  [
    "full disk, 5.1",
    "step",
    "[error] av_interleaved_write_frame(): No space left on device\n[error] Error writing trailer of /w/out/0.mp4: No space left on device\n[error] Error closing file /w/out/0.mp4: No space left on device",
    "resource.disk",
    "backoff",
    "No space left on device",
  ],
  [
    "full disk, 9.0",
    "step",
    "[vost#0:0/libx264 @ 0x555f99f92d40] [error] Error submitting a packet to the muxer: No space left on device\n[out#0/mp4 @ 0x555f99f92000] [error] Error muxing a packet",
    "resource.disk",
    "backoff",
    "No space left on device",
  ],
  [
    "address space used up, 5.1",
    "step",
    "x264 [error]: malloc of size 44329344 failed\n[error] Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0 - maybe incorrect parameters such as bit_rate, rate, width or height",
    "resource.memory",
    "never",
    "malloc of size 44329344 failed",
  ],
  [
    "no such encoder, 9.0",
    "step",
    "[vost#0:0 @ 0x56069a100c00] [fatal] Unknown encoder 'nosuch'\n[vost#0:0 @ 0x56069a100c00] [fatal] Error selecting an encoder\n[error] Error opening output file o.mp4.\n[fatal] Error opening output files: Encoder not found",
    "plan.unsupported",
    "never",
    "Unknown encoder",
  ],
  [
    "H.264 in WebM, 5.1",
    "step",
    "[webm @ 0x5572c2ad66c0] [error] Only VP8 or VP9 or AV1 video and Vorbis or Opus audio and WebVTT subtitles are supported for WebM.\n[error] Could not write header for output file #0 (incorrect codec parameters ?): Invalid argument",
    "plan.invalid",
    "never",
    "are supported for WebM",
  ],
  [
    "baseline with 4:4:4, 5.1",
    "step",
    "x264 [error]: baseline profile doesn't support 4:4:4\n[libx264 @ 0x557b78c6a600] [error] Error setting profile baseline.",
    "plan.invalid",
    "never",
    "baseline profile doesn't support 4:4:4",
  ],
  [
    "no NVIDIA, 5.1",
    "step",
    "[h264_nvenc @ 0x55844fa354c0] [error] Cannot load libcuda.so.1\n[error] Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0 - maybe incorrect parameters such as bit_rate, rate, width or height",
    "plan.unsupported",
    "never",
    "Cannot load libcuda.so.1",
  ],
  [
    "a picture too large, 5.1",
    "step",
    "[Parsed_scale_0 @ 0x55de7cdaf480] [IMGUTILS @ 0x7fffbba2a2b0] [error] Picture size 99999x99999 is invalid\n[error] Error reinitializing filters!",
    "limit.exceeded",
    "never",
    "Picture size 99999x99999 is invalid",
  ],
  [
    "pixels beyond the limit, 9.0",
    "probe",
    "[h264 @ 0x565176ca3480] [IMGUTILS @ 0x7ffee79904b0] [error] Picture size 64x48 exceeds specified max pixel count 100, see the documentation if you wish to increase it",
    "limit.exceeded",
    "never",
    "exceeds specified max pixel count",
  ],
  [
    "no such stream, 9.0",
    "step",
    "[fatal] Stream map '' matches no streams.\nTo ignore this, add a trailing '?' to the map.\n[error] Failed to set value '0:s' for option 'map': Invalid argument",
    "plan.invalid",
    "never",
    "matches no streams",
  ],
  [
    "a broken sandbox",
    "step",
    "bwrap: Can't find source path /w: No such file or directory",
    "ffmpeg.failed",
    "backoff",
    "",
  ],
  ["nothing known", "step", "[error] Something new went wrong", "ffmpeg.failed", "never", "Something new went wrong"],
  ["nothing at all", "probe", "", "input.unreadable", "never", ""],
];

describe("a failure", () => {
  test.each(SAMPLES)("%s", (_name, task, stderrTail, kind, retry, evidence) => {
    const error = diagnose({ exit: { exitCode: 1, signal: null }, stderrTail, task, hiddenPaths: ["/w"] });
    expect({ kind: error.kind, retry: error.retry }).toEqual({ kind, retry });
    expect(error.evidence ?? "").toContain(evidence);
    expect(error.publicMessage).toMatch(/^[A-Z].*\.$/);
    for (const text of [error.publicMessage, error.evidence ?? "", error.hint ?? ""]) {
      expect(text).not.toMatch(/\/w\b|0x[0-9a-f]{6}|\[error\]/);
    }
  });

  const died = (signal: string, rest: Partial<Failure> = {}) =>
    diagnose({ exit: { exitCode: null, signal }, stderrTail: "", task: "step", step: "encode", ...rest });

  test("of a killed, crashed or oversized process goes by its signal", () => {
    expect(died("SIGKILL")).toMatchObject({ kind: "ffmpeg.killed", retry: "backoff" });
    expect(died("SIGSEGV")).toMatchObject({ kind: "ffmpeg.failed", publicMessage: "FFmpeg crashed (SIGSEGV)." });
    expect(died("SIGXFSZ")).toMatchObject({ kind: "limit.exceeded" });
    expect(died("SIGXCPU")).toMatchObject({ kind: "job.timeout" });
    expect(died("SIGABRT", { stderrTail: "terminate called after throwing 'std::bad_alloc'" }).kind).toBe(
      "resource.memory",
    );
  });

  test("that we caused is what we did, whatever was said before", () => {
    const stderrTail = "[error] Invalid data found when processing input";
    expect(died("SIGKILL", { stalledAfterMs: 120_000, stderrTail })).toMatchObject({
      ...{ kind: "ffmpeg.stalled", retry: "backoff" },
      publicMessage: "FFmpeg made no progress for 120 seconds and was stopped.",
    });
    expect(died("SIGKILL", { timedOutAfterMs: 60_000, stderrTail }).kind).toBe("job.timeout");
  });

  test("for want of memory is the input's fault where that is only looked at, and not what we have made", () => {
    const failure = { memoryBytesMax: 512 * 1024 * 1024, stderrTail: "[error] Cannot allocate memory" };
    const exit = { exitCode: 1, signal: null };
    expect(diagnose({ exit, ...failure, task: "probe" }).kind).toBe("input.unreadable");
    expect(diagnose({ exit, ...failure, task: "verify" }).kind).toBe("resource.memory");
  });

  test("for want of memory names the budget", () => {
    const failure = { memoryBytesMax: 512 * 1024 * 1024, stderrTail: "[error] Cannot allocate memory" };
    expect(died("SIGKILL", failure).publicMessage).toContain("512 MiB");
  });
});

describe("evidence", () => {
  test.each([
    ["[libx264 @ 0x557b78c6a600] [error] Error setting profile", "[libx264] Error setting profile"],
    ["[error] file:/var/lib/rendiff/tmp/a b/in/0: Invalid data", "(file) b/in/0: Invalid data"],
    ["Error writing trailer of /w/out/0.mp4: No space", "Error writing trailer of (file): No space"],
    ["Error opening '/etc/passwd'", "Error opening '(file)'"],
    ["rate 30000/1001 and 16/9", "rate 30000/1001 and 16/9"],
    ["a\u0007b\u001b[31mc", "a b [31mc"],
  ])("%p becomes %p", (line, evidence) => expect(toEvidence(line)).toBe(evidence));

  test("hides folders whose names have spaces when it is told them", () => {
    expect(toEvidence("[error] file:/srv/my media/in/0: bad", ["/srv/my media/in/0"])).toBe("(file): bad");
    expect(toEvidence("open /srv/my media/out failed", ["/srv/my media"])).not.toContain("srv");
  });

  test("is short", () => expect(toEvidence("x".repeat(5_000)).length).toBe(300));
});

describe("a lost write behind exit code 0", () => {
  test("is found", () => {
    const said = "[error] Error writing trailer of /w/out/0.mp4: No space left on device";
    expect(diagnoseLostWrite(said, ["/w"])).toMatchObject({ kind: "resource.disk", retry: "backoff" });
    expect(diagnoseLostWrite("[error] av_interleaved_write_frame(): Input/output error")?.kind).toBe("resource.disk");
  });

  test("is not seen where there is none", () => {
    expect(diagnoseLostWrite("[warning] deprecated pixel format used\n[error] corrupt decoded frame")).toBeNull();
  });
});
