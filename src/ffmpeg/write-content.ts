/** Files that no program writes: their text is in the plan, or follows from samples that a step left behind. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { RendiffError } from "../errors.ts";
import { makePeaks } from "../media/peaks.ts";
import type { Content, MediaInfo, PlannedOutput } from "../media/types.ts";
import { toResourceError } from "../work-folders/errors.ts";
import { writeFrames } from "./findings.ts";

const noMedia = (container: string, sizeBytes: number, durationSeconds: number | null): MediaInfo => ({
  ...{ demuxers: [], container, sizeBytes, durationSeconds, startSeconds: 0, bitrate: null, tags: {}, streams: [] },
  ...{ chapters: 0, warnings: [] },
});

async function peaksOf(content: Content & { kind: "peaks" }, workDir: string) {
  const path = join(workDir, content.from);
  const file = Bun.file(path);
  const peaks = makePeaks(content, Math.floor(file.size / 2));
  for await (const chunk of file.stream()) peaks.push(chunk);
  await rm(path);
  return peaks.end();
}

async function write(path: string, text: string): Promise<number> {
  try {
    return await Bun.write(path, text);
  } catch (error) {
    throw toResourceError(error);
  }
}

/** Writes `output` in the work folder. Throws `output.invalid` when there was no sound after all, and `resource.disk`. */
export async function writeContent(output: PlannedOutput, content: Content, workDir: string): Promise<MediaInfo> {
  const path = join(workDir, output.file);
  const extension = output.file.slice(output.file.lastIndexOf(".") + 1);
  if (content.kind === "text") return noMedia(extension, await write(path, content.text), null);
  if (content.kind === "frames") return noMedia(extension, await writeFrames(path, content.logs, workDir), null);
  const peaks = await peaksOf(content, workDir);
  if (peaks.samples === 0)
    throw new RendiffError({
      kind: "output.invalid",
      publicMessage: "The waveform would be empty: no sound was decoded.",
    });
  return noMedia(extension, await write(path, peaks.json), peaks.durationSeconds);
}
