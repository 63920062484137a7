/**
 * An output before it is published. Exit code 0 proves nothing: the file is probed, compared with its plan, read to its end
 * and decoded, all of it where that is quick, else at its start, in its middle and at its end.
 *
 * Everything is done by ffprobe, which reads, counts and decodes as FFmpeg does: one process for a small output, two at once
 * for others. Of a film a demux costs 1 % of its encode and a full decode 12 %.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { RendiffError, type Retry } from "../errors.ts";
import { type FileEnds, HEAD_BYTES, isWhole, TAIL_BYTES } from "../media/container-end.ts";
import { toEvidence } from "../media/diagnose.ts";
import { checkCounts, checkOutput, checkShape, type StreamCount } from "../media/expectation.ts";
import { ALLOWED_DEMUXERS } from "../media/input-formats.ts";
import { parseMediaInfo } from "../media/media-info.ts";
import { numberOf, positive, recordOf, recordsOf } from "../media/media-info-fields.ts";
import type { Expectation, MediaInfo, PlannedOutput } from "../media/types.ts";
import type { ProcessRunner } from "../process/port.ts";
import { FULL_DECODE_PIXELS_MAX, type ProbeAnswer, type ProbeRun, readTimeoutMs, runFfprobe } from "./ffprobe.ts";
import { checkSamples, FRAME_ENTRIES, isSampledBy, type SampledSpan, sampleWindows } from "./samples.ts";
import type { MediaTools } from "./tools.ts";

const FULL_DECODE_SECONDS_MAX = 60;
/** For all rates that are not known. */
const RATE_GUESS = 30;

const DECODE_THREADS = 2;
/** Less is decoded by one thread before a second one runs: a third of the time of a small output's whole look. */
const ONE_THREAD_PIXELS_MAX = 4_000_000;

export interface VerifyRequest {
  readonly runner: ProcessRunner;
  readonly tools: MediaTools;
  /** Absolute path of the attempt's work folder. */
  readonly workDir: string;
  readonly output: PlannedOutput;
  /**
   * True when its streams were copied (`plan.copiesOnly`): then what cannot be decoded was so in the input, and only the
   * container is held to be sound.
   */
  readonly copied?: boolean;
  readonly niceness?: number;
  readonly signal?: AbortSignal;
}

/** Of all frames of all pictures. */
function pixelsOf({ still, video, durationSeconds }: Expectation): number {
  const framesOf = (fps: number | null): number =>
    still ? 1 : (fps ?? RATE_GUESS) * (durationSeconds ?? Number.POSITIVE_INFINITY);
  return video.reduce((sum, { width, height, fps }) => sum + width * height * framesOf(fps), 0);
}

function isQuick(expect: Expectation): boolean {
  if (expect.still) return true;
  if (expect.durationSeconds === null || expect.durationSeconds > FULL_DECODE_SECONDS_MAX) return false;
  return pixelsOf(expect) <= FULL_DECODE_PIXELS_MAX;
}

/** Of a decode that nothing hurries: a tenth of the film's own speed. */
const decodeTimeoutMs = ({ durationSeconds }: Expectation): number => (durationSeconds ?? 0) * 10_000;

function invalid(
  output: PlannedOutput,
  problems: readonly string[],
  evidence: string,
  retry: Retry = "backoff",
): RendiffError {
  return new RendiffError({
    kind: "output.invalid",
    retry,
    publicMessage: `The finished ${output.role} output is not what was planned: ${problems.join("; ")}.`,
    ...(evidence === "" ? {} : { evidence }),
  });
}

/** Faults of the container, which copying cannot have brought along. */
const CONTAINER_FAULT = /partial file|ended prematurely|truncat|moov atom|Read error|Input\/output error|EBML/i;

function complaintsOf(stderr: string, copied: boolean): readonly string[] {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  return copied ? lines.filter((line) => CONTAINER_FAULT.test(line)) : lines;
}

function countsOf(json: unknown, decoded: boolean): readonly StreamCount[] {
  return recordsOf(recordOf(json).streams).map((stream) => ({
    index: numberOf(stream.index) ?? 0,
    packets: numberOf(stream.nb_read_packets) ?? 0,
    frames: decoded ? (numberOf(stream.nb_read_frames) ?? 0) : null,
    declared: positive(stream.nb_frames),
  }));
}

async function readEnds(file: string, sizeBytes: number): Promise<FileEnds> {
  const blob = Bun.file(file);
  const [head, tail] = await Promise.all([
    blob.slice(0, HEAD_BYTES).bytes(),
    blob.slice(Math.max(0, sizeBytes - TAIL_BYTES)).bytes(),
  ]);
  return { sizeBytes, head, tail };
}

/** ffprobe's failures tell of an input; here the file is our own. */
async function probeOwn(run: ProbeRun, output: PlannedOutput) {
  try {
    return await runFfprobe(run);
  } catch (error) {
    if (!(error instanceof RendiffError) || !error.kind.startsWith("input.")) throw error;
    throw invalid(output, ["it cannot be read"], error.evidence ?? "");
  }
}

/**
 * Decodes samples while the file is read as a whole, for each waits for its start and its disk. Where they lie is known from
 * the plan; of a film that lies elsewhere they are decoded again. On leaving nothing of it runs any more.
 */
function beginSamples(run: Omit<ProbeRun, "show">, output: PlannedOutput) {
  const { durationSeconds } = output.expect;
  const useless = new AbortController();
  const signal = run.signal === undefined ? useless.signal : AbortSignal.any([run.signal, useless.signal]);
  const decode = (at: SampledSpan) => probeOwn({ ...run, signal, show: sampleWindows(at) }, output);
  const early = durationSeconds === null ? null : decode({ startSeconds: 0, durationSeconds });
  early?.catch(() => {});
  return {
    of: (media: MediaInfo): Promise<ProbeAnswer> =>
      early !== null && isSampledBy(media, durationSeconds) ? early : decode(media),
    async [Symbol.asyncDispose]() {
      useless.abort();
      await early?.catch(() => {});
    },
  };
}

/**
 * Returns the output's MediaInfo. Throws `output.invalid`, with the numbers that differ, for anything but a whole and
 * playable file as planned; rejects with the reason of `signal` once ffprobe is dead.
 */
export async function verifyOutput(request: VerifyRequest): Promise<MediaInfo> {
  const { runner, tools, workDir, output, copied = false } = request;
  const { expect } = output;
  const file = join(workDir, output.file);
  const info = await stat(file).catch(() => null);
  if (info === null || !info.isFile() || info.size === 0) {
    throw invalid(output, [info === null ? "it was not written" : "it is empty"], "");
  }
  // A text file (a map, a report) is no media: that it is there is all there is to know.
  if (expect.demuxers.length === 0) return parseMediaInfo({ format: { size: info.size } });

  const full = expect.fullDecode === true || isQuick(expect);
  const run = {
    ...{ runner, ffprobePath: tools.ffprobePath, file, inputFormats: ALLOWED_DEMUXERS, pixelsMax: null },
    ...{ niceness: request.niceness ?? 0, signal: request.signal },
    // By its extension FFmpeg would take a picture for a numbered series.
    ...(expect.still && expect.demuxers.length === 1 ? { demuxer: expect.demuxers[0] as string } : {}),
    timeoutMs: readTimeoutMs(info.size) + (full ? decodeTimeoutMs(expect) : 0),
  };
  const show = ["-show_format", "-show_streams", "-show_chapters", "-count_packets"];
  const decode = ["-count_frames", "-show_entries", FRAME_ENTRIES];
  // Counting packets decodes nothing.
  const threads = full && pixelsOf(expect) > ONE_THREAD_PIXELS_MAX ? DECODE_THREADS : 1;
  await using samples = full ? null : beginSamples({ ...run, threads: DECODE_THREADS }, output);
  const whole = await probeOwn({ ...run, threads, show: full ? [...show, ...decode] : show }, output);
  const media = parseMediaInfo(whole.json);
  const counts = countsOf(whole.json, full);
  const problems = [...checkOutput(expect, media, counts), ...checkCounts(media, counts, expect)];
  if (!isWhole(media.container, await readEnds(file, info.size))) problems.push("its end is missing");
  if (full) problems.push(...checkSamples(media, whole.json));
  const complaints = [...complaintsOf(whole.stderr, copied)];
  if (samples !== null && problems.length === 0 && complaints.length === 0) {
    const { stderr, json } = await samples.of(media);
    complaints.push(...complaintsOf(stderr, copied));
    problems.push(...checkSamples(media, json));
  }
  if (complaints.length > 0) problems.push("it is damaged");
  if (problems.length > 0) {
    const retry = complaints.length === 0 && checkShape(expect, media).length > 0 ? "never" : "backoff";
    throw invalid(output, problems, toEvidence(complaints[0] ?? "", [workDir]), retry);
  }
  return media;
}
