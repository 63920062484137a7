/** A rendition's segments, put together and read by ffprobe as a player would: in order, from the first to the last. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { RendiffError } from "../../errors.ts";
import { toEvidence } from "../../media/diagnose.ts";
import { parseMediaInfo } from "../../media/media-info.ts";
import { numberOf, recordOf, recordsOf } from "../../media/media-info-fields.ts";
import type { FoundMedia, FoundPlaylist } from "../../media/streaming/check-package.ts";
import type { MediaInfo, PackagePlan, PackageRendition } from "../../media/types.ts";
import type { ProcessRunner } from "../../process/port.ts";
import { FULL_DECODE_PIXELS_MAX, readTimeoutMs, runFfprobe } from "../ffprobe.ts";
import { runTool } from "../run-tool.ts";
import type { MediaTools } from "../tools.ts";
import type { ContentKey } from "./encrypt.ts";
import { DECRYPTING, withKeyFlags } from "./key-flags.ts";
import { invalidPackage } from "./read-package.ts";

export interface MediaReading {
  readonly runner: ProcessRunner;
  readonly tools: MediaTools;
  readonly workDir: string;
  readonly niceness: number;
  readonly packager: string | null;
  readonly key: ContentKey | null;
  readonly signal?: AbortSignal;
}

async function concatenate(files: readonly string[], target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  for (const file of files) await pipeline(createReadStream(file), createWriteStream(target, { flags: "a" }));
}

/** Then every picture is decoded, else the first of each segment and every other key frame. */
const isQuick = ({ width, height, fps }: PackageRendition, seconds: number): boolean =>
  (width ?? 0) * (height ?? 0) * (fps ?? 0) * seconds <= FULL_DECODE_PIXELS_MAX;

export interface ReadRendition {
  readonly media: FoundMedia;
  readonly info: MediaInfo;
}

/** Throws `output.invalid` for what cannot be read or decoded to its end. */
export async function readRendition(
  reading: MediaReading,
  plan: PackagePlan,
  rendition: PackageRendition,
  playlist: FoundPlaylist,
): Promise<ReadRendition> {
  const { workDir, runner, tools, niceness, signal } = reading;
  const folder = join(workDir, plan.folder);
  const file = join(workDir, "out/check", rendition.id);
  const parts = [...(playlist.init === null ? [] : [playlist.init]), ...playlist.segments.map((one) => one.file)];
  const seconds = playlist.segments.reduce((sum, one) => sum + one.seconds, 0);
  const bytes = playlist.segments.reduce((sum, one) => sum + one.sizeBytes, 0);
  await concatenate(
    parts.map((part) => join(folder, part)),
    file,
  );
  try {
    if (plan.encryption === "cbcs") await decrypt(reading, rendition, readTimeoutMs(bytes));
    const { json, stderr } = await runFfprobe({
      ...{ runner, ffprobePath: tools.ffprobePath, file, niceness, signal, pixelsMax: null, threads: 2 },
      ...{ inputFormats: ["mov", "mp4", "mpegts"], demuxer: plan.container === "ts" ? "mpegts" : "mov" },
      show: [
        ...["-show_format", "-show_streams", "-count_packets"],
        ...(rendition.kind === "video" ? ["-show_entries", "frame=pts_time,key_frame"] : ["-count_frames"]),
        ...(rendition.kind === "video" && !isQuick(rendition, seconds) ? ["-skip_frame", "nokey"] : []),
      ],
      timeoutMs: readTimeoutMs(bytes),
    });
    if (stderr.trim() !== "")
      throw invalidPackage([`${rendition.id} is damaged`], toEvidence(stderr.split("\n")[0] ?? "", [workDir]));
    return { info: parseMediaInfo(json), media: toFound(json) };
  } catch (error) {
    if (!(error instanceof RendiffError) || !error.kind.startsWith("input.")) throw error;
    throw invalidPackage([`${rendition.id} cannot be read`], error.evidence ?? "");
  } finally {
    await rm(file, { force: true });
  }
}

/** By the packager itself: the FFmpegs that read this scheme are few. What comes out is then judged by ffprobe. */
async function decrypt(reading: MediaReading, { id, kind }: PackageRendition, timeoutMs: number): Promise<void> {
  const { runner, packager: program, key, workDir, niceness, signal } = reading;
  if (program === null || key === null) throw new Error("Decrypting needs the packager and the key.");
  const file = `out/check/${id}`;
  const { exit } = await withKeyFlags(workDir, key, (flags) =>
    runTool({
      ...{ runner, program, workDir, niceness, signal, timeoutMs },
      args: [`in=${file},stream=${kind},output=${file}.mp4`, "--temp_dir", "out/check", ...DECRYPTING, ...flags],
      limits: { addressSpaceBytes: 1.5e9, fileBytes: null, cpuSeconds: Math.ceil(timeoutMs / 1000), openFiles: 64 },
    }),
  );
  if (exit.exitCode !== 0) throw invalidPackage([`${id} cannot be decrypted with its key`]);
  await rename(join(workDir, `${file}.mp4`), join(workDir, file));
}

function toFound(json: unknown): FoundMedia {
  const [stream = {}] = recordsOf(recordOf(json).streams);
  const frames = recordsOf(recordOf(json).frames);
  return {
    codec: String(stream.codec_name ?? ""),
    width: numberOf(stream.width),
    height: numberOf(stream.height),
    packets: numberOf(stream.nb_read_packets) ?? 0,
    sampleRate: numberOf(stream.sample_rate),
    keySeconds: frames.filter((one) => numberOf(one.key_frame) === 1).flatMap((one) => numberOf(one.pts_time) ?? []),
  };
}
