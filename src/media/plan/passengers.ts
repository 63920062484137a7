/** Streams that travel with picture and sound: subtitles, cover art, fonts. What cannot come along is said. */
import type { Container } from "../containers.ts";
import type { GraphContext } from "./output.ts";
import type { Source } from "./source.ts";

export interface Passengers {
  /** `-map …` and codecs. */
  args(graph: GraphContext): string[];
  readonly count: number;
  readonly subtitles: number;
  readonly covers: readonly { readonly codec: string; readonly width: number; readonly height: number }[];
  readonly warnings: readonly string[];
}

export interface PassengerRequest {
  readonly source: Source;
  readonly container: Container;
  /** A picture of the film itself is in the output: covers come after it. */
  readonly videoStreams: number;
  /** The part begins where the input's time does: streams that bypass the graph keep their place. */
  readonly aligned: boolean;
  /** Covers have a time too, and a cut would leave them behind. */
  readonly trimmed: boolean;
  readonly coverAllowed: boolean;
}

const listed = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

interface Ride {
  readonly index: number;
  readonly args: (n: number) => string[];
}

function subtitleRides({ source, container, aligned }: PassengerRequest, warnings: string[]): Ride[] {
  const rides: Ride[] = [];
  let left = 0;
  for (const { codec, textBased, index } of source.subtitles) {
    const { copies, encoder } = container.subtitles;
    const codecArg = copies.includes(codec) ? "copy" : textBased ? encoder : null;
    if (codecArg === null || !aligned) left += 1;
    else rides.push({ index, args: (n) => [`-c:s:${n}`, codecArg] });
  }
  if (left > 0) {
    const why = aligned ? `${container.name} does not hold them` : "they cannot be cut or retimed here";
    warnings.push(`${listed(left, "subtitle track is", "subtitle tracks are")} left out, because ${why}.`);
  }
  return rides;
}

const COVER_CODECS = new Set(["mjpeg", "png"]);

function coverRides({ source, container, trimmed, coverAllowed, videoStreams }: PassengerRequest, warnings: string[]) {
  const held = source.covers.filter(
    ({ codec }) => container.cover && coverAllowed && !trimmed && COVER_CODECS.has(codec),
  );
  const kept = held.slice(0, 1);
  const left = source.covers.length - kept.length;
  if (left > 0) warnings.push(`${listed(left, "cover picture is", "cover pictures are")} left out.`);
  const rides = kept.map(({ index }) => ({
    index,
    args: () => [`-c:v:${videoStreams}`, "copy", `-disposition:v:${videoStreams}`, "attached_pic"],
  }));
  return { rides, kept };
}

export function passengersOf(request: PassengerRequest): Passengers {
  const { source, container } = request;
  const warnings: string[] = [];
  const subtitles = subtitleRides(request, warnings);
  const covers = coverRides(request, warnings);
  const fonts: Ride[] = container.attachments
    ? source.attachments.map(({ index }) => ({ index, args: (n) => [`-c:t:${n}`, "copy"] }))
    : [];
  const data = source.data.length + (container.attachments ? 0 : source.attachments.length);
  if (data > 0) warnings.push(`${listed(data, "data stream is", "data streams are")} left out.`);
  const groups = [subtitles, covers.rides, fonts];
  return {
    args: ({ input }) =>
      groups.flatMap((rides) => rides.flatMap((ride, n) => ["-map", `${input}:${ride.index}`, ...ride.args(n)])),
    count: groups.reduce((sum, rides) => sum + rides.length, 0),
    subtitles: subtitles.length,
    covers: covers.kept.map(({ codec, width, height }) => ({ codec, width, height })),
    warnings,
  };
}
