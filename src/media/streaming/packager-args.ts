/** Shaka Packager's command line. Every name in it is ours, so nothing has to be escaped. */
import type { PackagePlan } from "../types.ts";

/** A little less than the segments' length, so that rounding never puts a key frame into the segment before its own. */
const SHORTER_SECONDS = 1e-6;

export interface PackagedStream {
  readonly id: string;
  readonly kind: "video" | "audio" | "text";
  /** Relative to the work folder. */
  readonly file: string;
  readonly language: string | null;
  readonly group: string | null;
  readonly name: string | null;
}

export const MASTER = "master.m3u8";
export const DASH_MANIFEST = "manifest.mpd";

function descriptor(plan: PackagePlan, stream: PackagedStream): string {
  const folder = `${plan.folder}/${plan.segments}`;
  const playlist = `${plan.segments}/${stream.id}`;
  const isText = stream.kind === "text";
  const media = isText ? "vtt" : plan.container === "ts" ? "ts" : "m4s";
  const fields: (readonly [string, string | null])[] = [
    ["in", stream.file],
    ["stream", stream.kind],
    ["init_segment", plan.container === "ts" || isText ? null : `${folder}/${stream.id}/init.mp4`],
    ["segment_template", `${folder}/${stream.id}/$Number$.${media}`],
    ["playlist_name", `${playlist}.m3u8`],
    ["iframe_playlist_name", plan.thumbnails && stream.kind === "video" ? `${playlist}-keys.m3u8` : null],
    ["hls_group_id", stream.group],
    ["hls_name", stream.name],
    ["lang", stream.language],
  ];
  return fields.flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`])).join(",");
}

/** What transport streams begin at, if nothing is said: the packager's own. */
const OFFSET_MS = 100;
/** Encoders give a picture to be decoded up to two frames before its time; a little more is for rounding. */
const EARLY_FRAMES = 2.25;

/** The packager refuses times below zero, which slow films would have by its own offset. */
function offsetArgs({ container, renditions }: PackagePlan): string[] {
  const slowest = Math.min(...renditions.flatMap(({ fps }) => fps ?? []));
  const neededMs = Math.ceil((EARLY_FRAMES * 1_000) / slowest);
  if (container !== "ts" || neededMs <= OFFSET_MS) return [];
  return ["--transport_stream_timestamp_offset_ms", String(neededMs)];
}

/** Paths are relative: the packager is started in the work folder. */
export function packagerArgs(plan: PackagePlan, streams: readonly PackagedStream[]): string[] {
  const first = streams.find(({ kind, language }) => kind === "audio" && language !== null);
  return [
    ...streams.map((stream) => descriptor(plan, stream)),
    "--hls_master_playlist_output",
    `${plan.folder}/${MASTER}`,
    ...(plan.dash === null ? [] : ["--mpd_output", `${plan.folder}/${DASH_MANIFEST}`, "--generate_static_live_mpd"]),
    "--hls_playlist_type",
    "VOD",
    "--segment_duration",
    (plan.segmentSeconds - SHORTER_SECONDS).toFixed(6),
    ...offsetArgs(plan),
    ...(first?.language == null ? [] : ["--default_language", first.language]),
    "--quiet",
  ];
}
