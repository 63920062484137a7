/** What a measuring step left behind, read when it has ended; and the report that is made of its logs. */
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { RendiffError } from "../errors.ts";
import { makeReader, parseStatsLine, type Sample } from "../media/measure/parse.ts";
import type { Finding, FrameLog } from "../media/types.ts";
import { toResourceError } from "../work-folders/errors.ts";

const READ_BYTES = 64 * 1024;
const WRITE_LENGTH = 64 * 1024;

export type Findings = Readonly<Record<string, unknown>>;

/**
 * A file of any length, a line at a time; nothing for a file that was never begun. Not by a stream: `node:readline` drops
 * what one fails with, and a reader that stops early would leave the file open.
 */
async function* linesOf(path: string): AsyncGenerator<string> {
  if (!(await Bun.file(path).exists())) return;
  const file = await open(path);
  try {
    const [buffer, decoder] = [new Uint8Array(READ_BYTES), new TextDecoder()];
    let rest = "";
    for (let read = await file.read(buffer); read.bytesRead > 0; read = await file.read(buffer)) {
      const lines = (rest + decoder.decode(buffer.subarray(0, read.bytesRead), { stream: true })).split(/\r?\n/);
      rest = lines.pop() ?? "";
      yield* lines;
    }
    if (rest !== "") yield rest;
  } finally {
    await file.close();
  }
}

export interface Measurement {
  readonly workDir: string;
  readonly stderr: string;
  /** How far FFmpeg came; null when it did not say. */
  readonly outSeconds: number | null;
}

/**
 * Throws `ffmpeg.failed` when something was measured of nothing: FFmpeg ends with 0 also when a filter gave up. Where the
 * plan did not know how long the file is, what has no end lasts to where FFmpeg came: else a film that is black to its end
 * would count as one that is not.
 */
export async function readFindings(
  findings: readonly Finding[],
  { workDir, stderr, outSeconds }: Measurement,
): Promise<Findings> {
  const found: Record<string, unknown> = {};
  for (const { name, kind, file, minSeconds = 0, endSeconds = 0 } of findings) {
    const reader = makeReader(kind, { minSeconds, endSeconds: endSeconds > 0 ? endSeconds : (outSeconds ?? 0) });
    if (file === null) for (const line of stderr.split(/\r?\n/)) reader.push(line);
    else for await (const line of linesOf(join(workDir, file))) reader.push(line);
    const value = reader.end();
    if (value === null || (kind === "vmaf" && (value as { frames: number }).frames === 0)) {
      throw new RendiffError({
        kind: "ffmpeg.failed",
        publicMessage: `FFmpeg measured nothing for ${name}.`,
        hint: "Check that both files have frames at the same times.",
      });
    }
    found[name] = value;
  }
  return found;
}

async function* samplesOf({ kind, file }: FrameLog, workDir: string): AsyncGenerator<Sample> {
  const reader = kind === "psnr" || kind === "ssim" ? null : makeReader(kind);
  for await (const line of linesOf(join(workDir, file))) {
    const sample = reader === null ? parseStatsLine(line, kind as "psnr" | "ssim") : reader.push(line);
    if (sample !== null) yield sample;
  }
}

/** Several logs in the order of their frames: what one says of a frame stands beside what the others say. */
async function* merged(logs: readonly FrameLog[], workDir: string): AsyncGenerator<Record<string, unknown>> {
  const sources = logs.map((log) => ({ samples: samplesOf(log, workDir), head: undefined as Sample | undefined }));
  const advance = async (source: (typeof sources)[number]): Promise<void> => {
    source.head = (await source.samples.next()).value as Sample | undefined;
  };
  try {
    for (const source of sources) await advance(source);
    for (;;) {
      const frame = Math.min(...sources.map(({ head }) => head?.frame ?? Number.POSITIVE_INFINITY));
      if (!Number.isFinite(frame)) return;
      const line: Record<string, unknown> = { frame };
      for (const source of sources) {
        if (source.head?.frame !== frame) continue;
        Object.assign(line, source.head.values);
        await advance(source);
      }
      yield line;
    }
  } finally {
    // One log that fails, or a full disk, ends this early: the files of the others are still open.
    for (const { samples } of sources) await samples.return(undefined);
  }
}

/**
 * JSON with `frames` (by number, from 0) and `loudness` (by time in seconds); resolves to its size. The logs are removed.
 * Throws `resource.disk`, or what reading failed with, and then leaves no file open. Not by `Bun.file().writer()`, where a
 * full disk is an error that nobody can catch, nor by a stream, which closes its file at some later time.
 */
export async function writeFrames(path: string, logs: readonly FrameLog[], workDir: string): Promise<number> {
  const file = await open(path, "w");
  try {
    let text = "";
    for await (const part of reportOf(logs, workDir)) {
      text += part;
      if (text.length < WRITE_LENGTH) continue;
      await file.appendFile(text);
      text = "";
    }
    await file.appendFile(text);
  } catch (error) {
    throw toResourceError(error);
  } finally {
    await file.close();
  }
  for (const log of logs) await rm(join(workDir, log.file), { force: true });
  return Bun.file(path).size;
}

async function* reportOf(logs: readonly FrameLog[], workDir: string): AsyncGenerator<string> {
  const isOfMoments = ({ kind }: FrameLog): boolean => kind === "moments";
  const frames = merged(
    logs.filter((log) => !isOfMoments(log)),
    workDir,
  );
  yield "{";
  yield* listOf("frames", frames);
  yield ",\n";
  yield* listOf("loudness", momentsOf(logs.filter(isOfMoments), workDir));
  yield "}\n";
}

async function* listOf(name: string, items: AsyncIterable<unknown>): AsyncGenerator<string> {
  yield `${JSON.stringify(name)}:[`;
  let separator = "\n";
  for await (const item of items) {
    yield `${separator}${JSON.stringify(item)}`;
    separator = ",\n";
  }
  yield "\n]";
}

async function* momentsOf(logs: readonly FrameLog[], workDir: string): AsyncGenerator<unknown> {
  for (const log of logs) for await (const { time, values } of samplesOf(log, workDir)) yield { time, ...values };
}
