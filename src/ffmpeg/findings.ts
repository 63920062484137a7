/** What a measuring step left behind, read when it has ended; and the report that is made of its logs. */
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { RendiffError } from "../errors.ts";
import { makeReader, parseStatsLine, type Sample } from "../media/measure/parse.ts";
import type { Finding, FrameLog } from "../media/types.ts";

export type Findings = Readonly<Record<string, unknown>>;

/** A file of any length, a line at a time; nothing for a file that was never begun. */
async function* linesOf(path: string): AsyncGenerator<string> {
  if (!(await Bun.file(path).exists())) return;
  yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
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
  const sources = await Promise.all(
    logs.map(async (log) => {
      const samples = samplesOf(log, workDir);
      return { samples, head: (await samples.next()).value as Sample | undefined };
    }),
  );
  for (;;) {
    const frame = Math.min(...sources.map(({ head }) => head?.frame ?? Number.POSITIVE_INFINITY));
    if (!Number.isFinite(frame)) return;
    const line: Record<string, unknown> = { frame };
    for (const source of sources) {
      if (source.head?.frame !== frame) continue;
      Object.assign(line, source.head.values);
      source.head = (await source.samples.next()).value as Sample | undefined;
    }
    yield line;
  }
}

/** JSON with `frames` (by number, from 0) and `loudness` (by time in seconds); resolves to its size. The logs are removed. */
export async function writeFrames(path: string, logs: readonly FrameLog[], workDir: string): Promise<number> {
  const sink = Bun.file(path).writer();
  const list = async (name: string, items: AsyncIterable<unknown>) => {
    sink.write(`${JSON.stringify(name)}:[`);
    let separator = "\n";
    for await (const item of items) {
      sink.write(`${separator}${JSON.stringify(item)}`);
      separator = ",\n";
      await sink.flush();
    }
    sink.write("\n]");
  };
  const moments = logs.filter(({ kind }) => kind === "moments");
  sink.write("{");
  await list(
    "frames",
    merged(
      logs.filter(({ kind }) => kind !== "moments"),
      workDir,
    ),
  );
  sink.write(",\n");
  await list("loudness", momentsOf(moments, workDir));
  sink.write("}\n");
  await sink.end();
  for (const { file } of logs) await rm(join(workDir, file), { force: true });
  return Bun.file(path).size;
}

async function* momentsOf(logs: readonly FrameLog[], workDir: string): AsyncGenerator<unknown> {
  for (const log of logs) for await (const { time, values } of samplesOf(log, workDir)) yield { time, ...values };
}
