/** A finished package held against its plan. Pure: what was read of its playlists and counted in its segments. */
import type { PackagePlan, PackageRendition } from "../types.ts";

export interface FoundSegment {
  /** Relative to the package's folder. */
  readonly file: string;
  readonly seconds: number;
  readonly sizeBytes: number;
}

export interface FoundPlaylist {
  readonly file: string;
  readonly targetSeconds: number;
  readonly ended: boolean;
  /** Null in a transport stream. */
  readonly init: string | null;
  readonly segments: readonly FoundSegment[];
}

export interface FoundVariant {
  readonly playlist: string;
  readonly bandwidth: number;
  readonly averageBandwidth: number | null;
  readonly codecs: readonly string[];
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number | null;
  /** Of its group of sounds. */
  readonly audio: readonly string[];
  readonly captions: readonly string[];
}

/** What reading and decoding a rendition's segments told. */
export interface FoundMedia {
  readonly codec: string;
  readonly width: number | null;
  readonly height: number | null;
  readonly packets: number;
  readonly sampleRate: number | null;
  readonly keySeconds: readonly number[];
}

const SAMPLES_PER_PACKET: Readonly<Record<string, number>> = { aac: 1024, ac3: 1536, eac3: 1536, opus: 960 };
/** How a codec is named in CODECS (RFC 6381). */
const CODEC_PREFIX: Readonly<Record<string, readonly string[]>> = {
  h264: ["avc1", "avc3"],
  hevc: ["hvc1", "hev1"],
  vp9: ["vp09"],
  av1: ["av01"],
  aac: ["mp4a.40"],
  ac3: ["ac-3"],
  eac3: ["ec-3"],
  opus: ["opus", "Opus"],
};
/** EXTINF has three decimals. */
const ROUNDING_SECONDS = 0.0005;
const SOUND_SLACK_SECONDS = 0.15;
const FRAMES_SLACK = 2;
const FPS_SLACK = 0.01;
/** A stated rate may differ by this share from the one that is counted: containers and rounding. */
const RATE_SLACK = 0.1;

const lengthOf = (playlist: FoundPlaylist): number => playlist.segments.reduce((sum, { seconds }) => sum + seconds, 0);

function checkPlaylist(plan: PackagePlan, rendition: PackageRendition, playlist: FoundPlaylist): string[] {
  const problems: string[] = [];
  const { id } = rendition;
  if (!playlist.ended) problems.push(`the playlist of ${id} has no end`);
  if (playlist.segments.length === 0) problems.push(`${id} has no segment`);
  if (plan.container === "cmaf" && rendition.kind !== "text" && playlist.init === null)
    problems.push(`${id} has no initialisation segment`);
  for (const { file, seconds, sizeBytes } of playlist.segments) {
    if (sizeBytes === 0) problems.push(`the segment ${file} is empty`);
    // RFC 8216: rounded to whole seconds, a segment is no longer than the target.
    if (Math.round(seconds) > playlist.targetSeconds) problems.push(`the segment ${file} is longer than its target`);
    if (seconds > plan.segmentSeconds + 1) problems.push(`the segment ${file} lasts ${seconds} seconds`);
  }
  // Captions end with their last line.
  if (rendition.kind === "text") return problems;
  const { durationSeconds, durationToleranceSeconds } = plan;
  const seconds = lengthOf(playlist);
  if (durationSeconds !== null && Math.abs(seconds - durationSeconds) > durationToleranceSeconds)
    problems.push(`${id} is ${seconds.toFixed(3)} seconds long instead of ${durationSeconds.toFixed(3)}`);
  return problems;
}

function checkCount(rendition: PackageRendition, media: FoundMedia, seconds: number): string[] {
  const { id, fps } = rendition;
  if (fps !== null) {
    const frames = seconds * fps;
    if (Math.abs(media.packets - frames) <= FRAMES_SLACK) return [];
    return [`${id} has ${media.packets} frames in ${seconds.toFixed(3)} seconds of ${fps.toFixed(3)} each`];
  }
  const samples = SAMPLES_PER_PACKET[media.codec];
  if (samples === undefined || media.sampleRate === null) return [];
  const heard = (media.packets * samples) / media.sampleRate;
  if (Math.abs(heard - seconds) <= SOUND_SLACK_SECONDS) return [];
  return [`${id} has ${heard.toFixed(3)} seconds of sound in segments of ${seconds.toFixed(3)}`];
}

function checkMedia(rendition: PackageRendition, playlist: FoundPlaylist, media: FoundMedia): string[] {
  const { id, fps } = rendition;
  const problems: string[] = [];
  if (media.codec !== rendition.codec) problems.push(`${id} is ${media.codec} instead of ${rendition.codec}`);
  if (media.width !== rendition.width || media.height !== rendition.height)
    problems.push(`${id} is ${media.width}x${media.height} instead of ${rendition.width}x${rendition.height}`);
  problems.push(...checkCount(rendition, media, lengthOf(playlist)));
  if (fps === null) return problems;
  const [start = 0] = media.keySeconds;
  let begins = start;
  // Both ascend, and a long film has tens of thousands of both: one walk.
  let next = 0;
  playlist.segments.forEach(({ file, seconds }, index) => {
    const slack = 1 / fps + ROUNDING_SECONDS * (index + 1);
    while ((media.keySeconds[next] ?? Number.POSITIVE_INFINITY) < begins - slack) next += 1;
    const key = media.keySeconds[next] ?? Number.POSITIVE_INFINITY;
    if (key > begins + slack) problems.push(`the segment ${file} does not begin with a key frame`);
    begins += seconds;
  });
  return problems;
}

/** A player changes rendition at a segment's beginning, so these must be the same instants in all. */
export function checkAlignment(plan: PackagePlan, media: ReadonlyMap<string, FoundMedia>): string[] {
  const seen = plan.renditions.filter(({ kind }) => kind === "video");
  const [first, ...rest] = seen;
  if (first === undefined) return [];
  const frame = 1 / Math.min(...seen.map(({ fps }) => fps ?? 25));
  const wanted = media.get(first.id)?.keySeconds ?? [];
  return rest.flatMap(({ id }) => {
    const found = media.get(id)?.keySeconds ?? [];
    const same = found.length === wanted.length && found.every((key, n) => Math.abs(key - (wanted[n] ?? 0)) <= frame);
    return same ? [] : [`the key frames of ${id} are not those of ${first.id}`];
  });
}

/** RFC 8216 §4.3.4.2: of no less than half a target's length, so that a last instant of film is no peak. */
function peakOf(playlist: FoundPlaylist): number {
  const { segments, targetSeconds } = playlist;
  const counted = segments.filter(({ seconds }) => seconds >= targetSeconds / 2);
  if (counted.length === 0) return averageOf(playlist);
  return Math.max(...counted.map(({ sizeBytes, seconds }) => (sizeBytes * 8) / seconds));
}

const averageOf = (playlist: FoundPlaylist): number =>
  (playlist.segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) * 8) / lengthOf(playlist);

function checkRates(variant: FoundVariant, playlists: readonly FoundPlaylist[], name: string): string[] {
  const [picture, ...sounds] = playlists;
  if (picture === undefined) return [`the variant ${name} names no playlist`];
  const loudest = (of: (playlist: FoundPlaylist) => number): number => Math.max(0, ...sounds.map(of));
  const peak = peakOf(picture) + loudest(peakOf);
  const average = averageOf(picture) + loudest(averageOf);
  const problems: string[] = [];
  const differs = (stated: number, counted: number): boolean => Math.abs(stated - counted) > counted * RATE_SLACK;
  if (differs(variant.bandwidth, peak))
    problems.push(`BANDWIDTH of ${name} is ${variant.bandwidth}, and its peak is ${Math.round(peak)}`);
  if (variant.averageBandwidth === null || differs(variant.averageBandwidth, average))
    problems.push(`AVERAGE-BANDWIDTH of ${name} is ${variant.averageBandwidth}, and it has ${Math.round(average)}`);
  return problems;
}

function checkVariant(
  plan: PackagePlan,
  variant: FoundVariant,
  playlists: ReadonlyMap<string, FoundPlaylist>,
): string[] {
  const idOf = (file: string): string => file.slice(file.lastIndexOf("/") + 1).replace(/\.m3u8$/, "");
  const id = idOf(variant.playlist);
  const rendition = plan.renditions.find((one) => one.id === id);
  if (rendition === undefined) return [`the variant ${id} was not planned`];
  const problems: string[] = [];
  const heard = plan.renditions.filter((one) => one.kind === "audio" && variant.audio.map(idOf).includes(one.id));
  for (const { codec } of [rendition, ...heard]) {
    const prefixes = CODEC_PREFIX[codec] ?? [codec];
    if (!variant.codecs.some((one) => prefixes.some((prefix) => one.startsWith(prefix))))
      problems.push(`CODECS of ${id} do not name ${codec}`);
  }
  if (variant.width !== rendition.width || variant.height !== rendition.height)
    problems.push(`RESOLUTION of ${id} is ${variant.width}x${variant.height}`);
  const wanted = plan.renditions.filter(({ kind }) => kind === "text").map((one) => one.id);
  if (variant.captions.map(idOf).sort().join() !== wanted.sort().join())
    problems.push(`${id} does not have all captions`);
  const { fps } = rendition;
  if (fps !== null && (variant.fps === null || Math.abs(variant.fps - fps) > FPS_SLACK))
    problems.push(`FRAME-RATE of ${id} is ${variant.fps}`);
  const used = [variant.playlist, ...variant.audio.filter((file) => file !== variant.playlist)];
  return [
    ...problems,
    ...checkRates(
      variant,
      used.flatMap((file) => playlists.get(file) ?? []),
      id,
    ),
  ];
}

export interface FoundPackage {
  readonly variants: readonly FoundVariant[];
  /** By their file. */
  readonly playlists: ReadonlyMap<string, FoundPlaylist>;
  /** Files that the DASH manifest names; null when there is none. */
  readonly dash: ReadonlySet<string> | null;
  readonly media: ReadonlyMap<string, FoundMedia>;
  /** Regular files below the folder, relative to it. */
  readonly files: ReadonlySet<string>;
  readonly entries: readonly string[];
}

/** What is named and not there, or there and not named: before anything of it is opened. */
export function checkFiles(plan: PackagePlan, found: Omit<FoundPackage, "media">): string[] {
  const problems: string[] = [];
  const segments = new Set<string>();
  for (const { init, segments: all } of found.playlists.values()) {
    if (init !== null) segments.add(init);
    for (const { file } of all) segments.add(file);
  }
  for (const file of segments) if (!found.files.has(file)) problems.push(`the segment ${file} is missing`);
  const named = new Set([...segments, ...found.playlists.keys(), ...found.entries]);
  for (const file of found.files) if (!named.has(file)) problems.push(`the file ${file} is named by nothing`);
  if (found.dash === null) return plan.dash === null ? problems : [...problems, "there is no DASH manifest"];
  for (const file of segments) if (!found.dash.has(file)) problems.push(`the DASH manifest does not name ${file}`);
  for (const file of found.dash) if (!segments.has(file)) problems.push(`the DASH manifest names ${file} alone`);
  return problems;
}

/** Everything that is not as it was planned, as ends of a sentence. */
export function checkPackage(plan: PackagePlan, found: FoundPackage): string[] {
  const problems: string[] = [];
  for (const rendition of plan.renditions) {
    const playlist = found.playlists.get(`${plan.segments}/${rendition.id}.m3u8`);
    const media = found.media.get(rendition.id);
    if (playlist === undefined) problems.push(`${rendition.id} has no playlist`);
    else {
      problems.push(...checkPlaylist(plan, rendition, playlist));
      if (media !== undefined) problems.push(...checkMedia(rendition, playlist, media));
    }
  }
  const pictures = plan.renditions.filter(({ kind }) => kind === "video").length;
  const groups = new Set(plan.renditions.flatMap(({ kind, group }) => (kind === "audio" ? (group ?? []) : []))).size;
  const sounds = plan.renditions.filter(({ kind }) => kind === "audio").length;
  const wanted = pictures === 0 ? sounds : pictures * Math.max(1, groups);
  if (found.variants.length !== wanted)
    problems.push(`there are ${found.variants.length} variants instead of ${wanted}`);
  for (const variant of found.variants) problems.push(...checkVariant(plan, variant, found.playlists));
  return [...problems, ...checkAlignment(plan, found.media)];
}
