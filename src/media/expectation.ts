/** A finished file held against what its plan promised. Pure: the numbers come from ffprobe. */
import type { AudioStream, Expectation, ExpectedAudio, ExpectedVideo, MediaInfo, VideoStream } from "./types.ts";

/** What was counted by reading the whole file. */
export interface StreamCount {
  readonly index: number;
  readonly packets: number;
  /** Null when it was not decoded. */
  readonly frames: number | null;
  /** As the container's own index says; null when it has none. */
  readonly declared: number | null;
}

const FPS_TOLERANCE = 0.01;

const videosOf = (media: MediaInfo) => media.streams.filter((one): one is VideoStream => one.kind === "video");
const audiosOf = (media: MediaInfo) => media.streams.filter((one): one is AudioStream => one.kind === "audio");

/** Cover art is no picture stream, unless the plan counted it. */
function picturesOf(media: MediaInfo, expected: number): readonly VideoStream[] {
  const all = videosOf(media);
  return all.length === expected ? all : all.filter((one) => !one.attachedPicture);
}

function checkRate(expected: ExpectedVideo, found: VideoStream, name: string): string[] {
  const { fps } = expected;
  if (fps === null) return [];
  const rates = [found.averageFps, found.nominalFps].filter((one) => one !== null);
  if (rates.length === 0 || rates.some((one) => Math.abs(one - fps) <= fps * FPS_TOLERANCE)) return [];
  return [`${name} has ${rates[0]?.toFixed(3)} frames a second instead of ${fps}`];
}

function checkVideo(expected: ExpectedVideo, found: VideoStream, name: string): string[] {
  const problems: string[] = [];
  if (found.codec !== expected.codec) problems.push(`${name} is ${found.codec} instead of ${expected.codec}`);
  const { width, height } = expected;
  const shown = found.width === width && found.height === height;
  // A copied stream keeps its display matrix: its plan may give either size.
  const coded = found.codedWidth === width && found.codedHeight === height;
  if (!shown && !coded) problems.push(`${name} is ${found.width}x${found.height} instead of ${width}x${height}`);
  return [...problems, ...checkRate(expected, found, name)];
}

function checkAudio(expected: ExpectedAudio, found: AudioStream, name: string): string[] {
  const problems: string[] = [];
  if (found.codec !== expected.codec) problems.push(`${name} is ${found.codec} instead of ${expected.codec}`);
  if (expected.channels !== null && found.channels !== expected.channels) {
    problems.push(`${name} has ${found.channels} channels instead of ${expected.channels}`);
  }
  if (expected.sampleRate !== null && found.sampleRate !== expected.sampleRate) {
    problems.push(`${name} has ${found.sampleRate} samples a second instead of ${expected.sampleRate}`);
  }
  return problems;
}

function checkStreams(expect: Expectation, media: MediaInfo): string[] {
  const problems: string[] = [];
  const videos = picturesOf(media, expect.video.length);
  const audios = audiosOf(media);
  const count = (kind: string, found: number, wanted: number) => {
    if (found !== wanted) problems.push(`it has ${found} ${kind} streams instead of ${wanted}`);
  };
  count("picture", videos.length, expect.video.length);
  count("sound", audios.length, expect.audio.length);
  count("subtitle", media.streams.filter((one) => one.kind === "subtitle").length, expect.subtitles);
  for (const [index, wanted] of expect.video.entries()) {
    const found = videos[index];
    if (found !== undefined) problems.push(...checkVideo(wanted, found, `picture stream ${index}`));
  }
  for (const [index, wanted] of expect.audio.entries()) {
    const found = audios[index];
    if (found !== undefined) problems.push(...checkAudio(wanted, found, `sound stream ${index}`));
  }
  return problems;
}

/**
 * Raw streams say nothing of their length, or only what was planned when they were begun; each packet holds a fixed number
 * of samples. MPEG-2 layer 3 has half as many as MPEG-1.
 */
const SAMPLES_PER_PACKET: Readonly<Record<string, (sampleRate: number) => number>> = {
  aac: () => 1024,
  ac3: () => 1536,
  eac3: () => 1536,
  mp3: (sampleRate) => (sampleRate >= 32_000 ? 1152 : 576),
};

/** The length as the file says it, or as counted where the file only allows a guess. */
export function lengthOf(media: MediaInfo, counts: readonly StreamCount[]): number | null {
  const raw = SAMPLES_PER_PACKET[media.demuxers[0] ?? ""];
  const [audio] = audiosOf(media);
  const packets = counts.find((one) => one.index === audio?.index)?.packets;
  if (raw === undefined || audio === undefined || packets === undefined || audio.sampleRate <= 0) {
    return media.durationSeconds;
  }
  return (packets * raw(audio.sampleRate)) / audio.sampleRate;
}

function checkLength(expect: Expectation, seconds: number | null): string[] {
  if (expect.still || expect.durationSeconds === null) return [];
  const wanted = `${expect.durationSeconds.toFixed(3)} seconds`;
  if (seconds === null) return [`it does not say how long it is; ${wanted} were expected`];
  // A thousandth for the rounding of printed numbers.
  if (Math.abs(seconds - expect.durationSeconds) <= expect.durationToleranceSeconds + 0.001) return [];
  return [`it is ${seconds.toFixed(3)} seconds long instead of ${wanted}`];
}

/** What the file is: container and streams. Another try with the same plan makes the same. */
export function checkShape(expect: Expectation, media: MediaInfo): string[] {
  const right = expect.demuxers.some((name) => media.demuxers.includes(name));
  const container = right
    ? []
    : [`it is ${media.demuxers[0] ?? "of no known format"} instead of ${expect.demuxers[0]}`];
  return [...container, ...checkStreams(expect, media)];
}

/** Everything that differs from the promise, as ends of a sentence; empty for a good output. */
export function checkOutput(expect: Expectation, media: MediaInfo, counts: readonly StreamCount[] = []): string[] {
  return [...checkShape(expect, media), ...checkLength(expect, lengthOf(media, counts))];
}

/** An edit list may hide a few packets that the index counts. */
const HIDDEN_SHARE = 0.02;
const HIDDEN_PACKETS = 2;

/** Of PCM the index counts samples. */
const declaredOf = (codec: string, { declared }: StreamCount) => (codec.startsWith("pcm_") ? null : declared);

/** What reading the whole file found missing. */
export function checkCounts(media: MediaInfo, counts: readonly StreamCount[], expect: Expectation): string[] {
  const problems: string[] = [];
  for (const stream of media.streams) {
    if (stream.kind !== "video" && stream.kind !== "audio") continue;
    const count = counts.find((one) => one.index === stream.index);
    const declared = count === undefined ? null : declaredOf(stream.codec, count);
    if (count === undefined || count.packets === 0) problems.push(`stream ${stream.index} is empty`);
    else if (count.frames === 0) problems.push(`nothing of stream ${stream.index} can be decoded`);
    else if (declared !== null && count.packets < declared * (1 - HIDDEN_SHARE) - HIDDEN_PACKETS) {
      problems.push(`only ${count.packets} of ${declared} packets of stream ${stream.index} are there`);
    }
    if (expect.still && stream.kind === "video" && count?.frames !== null && count?.frames !== 1) {
      problems.push(`it has ${count?.frames ?? 0} pictures instead of one`);
    }
  }
  return problems;
}
