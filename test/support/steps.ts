/** Hand-written steps and promises for FFmpeg's tests, and the two pairs of programs that every one of them runs with. */
import type { MediaTools } from "../../src/ffmpeg/tools.ts";
import type { Arg, Expectation, MediaLimits, PlannedOutput, PlanStep } from "../../src/media/types.ts";
import { testEnv } from "./env.ts";

export interface Version {
  readonly name: string;
  readonly tools: () => MediaTools;
}

/** Debian's pair, and the static one: FFmpeg 9.0 with a static ffprobe. */
export const VERSIONS: readonly Version[] = [
  { name: "system", tools: () => ({ ffmpegPath: testEnv().ffmpeg, ffprobePath: testEnv().ffprobe }) },
  { name: "static", tools: () => ({ ffmpegPath: testEnv().ffmpeg9, ffprobePath: testEnv().ffprobeStatic }) },
];

export const LIMITS: MediaLimits = {
  ...{ maxInputBytes: 1e10, maxDurationSeconds: 86_400, maxOperations: 50, maxWidth: 7680, maxHeight: 4320 },
  ...{ maxBitrate: 100_000_000, maxOutputs: 40, maxStreams: 64 },
};

export function toStep(args: readonly Arg[], rest: Partial<PlanStep> = {}): PlanStep {
  const writes = args.flatMap((one) => (typeof one !== "string" && one.file.startsWith("out/") ? [one.file] : []));
  return {
    ...{ id: "encode", args, filterGraph: null, durationSeconds: 1, weight: 1, threads: 1, writes },
    ...{ memoryBytesMax: 3_000_000_000, fileBytesMax: 100_000_000 },
    ...rest,
  };
}

export function toExpectation(rest: Partial<Expectation> = {}): Expectation {
  return {
    ...{ demuxers: ["mp4"], durationSeconds: 1, durationToleranceSeconds: 0.15, video: [], audio: [] },
    ...{ subtitles: 0, still: false },
    ...rest,
  };
}

export function toOutput(file: string, expect: Partial<Expectation> = {}): PlannedOutput {
  return { role: "primary", file, name: null, mediaType: "application/octet-stream", expect: toExpectation(expect) };
}

/** An error of ours as a test compares it; anything else is thrown on. */
export async function failureOf(
  work: Promise<unknown>,
): Promise<{ kind: string; publicMessage: string; evidence: string }> {
  try {
    await work;
  } catch (error) {
    const { kind, publicMessage, evidence } = error as {
      kind?: string;
      publicMessage?: string;
      evidence?: string | null;
    };
    if (kind === undefined || publicMessage === undefined) throw error;
    return { kind, publicMessage, evidence: evidence ?? "" };
  }
  throw new Error("It did not fail.");
}
