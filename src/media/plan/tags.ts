/** Metadata of a whole output and of streams that went through the graph, which loses theirs. */
import type { Container } from "../containers.ts";
import type { ConvertOptions } from "../operations/options.schema.ts";
import type { AudioStream } from "../types.ts";

/** Names that mp4 and QuickTime have a place for; others need the keyed form, which few players read. */
const MP4_NAMES = new Set(
  (
    "title artist album_artist composer album date encoding_tool comment genre copyright grouping lyrics description " +
    "synopsis show episode_id network keywords season_number episode_sort hd_video media_type track disc tmpo encoder " +
    "creation_time year author make model location"
  ).split(" "),
);

const isMp4 = ({ muxer }: Container): boolean => muxer === "mp4" || muxer === "mov" || muxer === "ipod";

export const needsKeyedTags = (container: Container, { metadata = {} }: ConvertOptions): boolean =>
  isMp4(container) && Object.keys(metadata).some((name) => !MP4_NAMES.has(name.toLowerCase()));

/** Tags and chapters of the input unless they are to be stripped, then the client's own. Chapters keep no other time. */
export function tagArgs(options: ConvertOptions, retimed = false): string[] {
  const strip = options.strip_metadata === true;
  return [
    "-map_metadata",
    strip ? "-1" : "0",
    "-map_chapters",
    strip || retimed ? "-1" : "0",
    ...Object.entries(options.metadata ?? {}).flatMap(([name, value]) => ["-metadata", `${name}=${value}`]),
  ];
}

const clean = (text: string): string => text.replaceAll("\0", "");

/** Language, title and the mark of the default track of a sound that went through the graph. */
export function soundTagArgs(stream: AudioStream, n: number, options: ConvertOptions): string[] {
  const title = options.strip_metadata === true ? null : stream.title;
  return [
    ...(stream.language === null ? [] : [`-metadata:s:a:${n}`, `language=${clean(stream.language)}`]),
    ...(title === null ? [] : [`-metadata:s:a:${n}`, `title=${clean(title)}`]),
    `-disposition:a:${n}`,
    stream.isDefault || n === 0 ? "default" : "0",
  ];
}

/** Options of the muxer, its name last. */
export function muxerArgs(container: Container, options: ConvertOptions): string[] {
  const faststart = container.takesFaststart && options.faststart !== false;
  const flags = [
    ...(faststart ? ["faststart"] : []),
    ...(needsKeyedTags(container, options) ? ["use_metadata_tags"] : []),
  ];
  return [
    ...container.args,
    ...(flags.length === 0 ? [] : ["-movflags", `+${flags.join("+")}`]),
    // Sparse streams make others wait in a queue, which is short by default.
    "-max_muxing_queue_size",
    "4096",
    "-f",
    container.muxer,
  ];
}
