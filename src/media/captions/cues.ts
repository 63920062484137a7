/** Captions as values, whatever they were written in. */

/** A run of text in one shape. */
export interface Span {
  readonly text: string;
  readonly bold: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
}

export interface Cue {
  readonly startSeconds: number;
  readonly endSeconds: number;
  /** New lines are in the text. */
  readonly spans: readonly Span[];
  /** As on a numeric keypad, 1 to 9; null for the usual place. */
  readonly alignment: number | null;
}

export type CaptionFormat = "srt" | "vtt" | "ass";

/** The parts of an ASS script that draw text; fonts and pictures inside it are left behind. */
export interface AssScript {
  readonly info: readonly string[];
  /** `[V4+ Styles]` or `[V4 Styles]`, with its lines. */
  readonly styles: readonly string[];
  /** Names of an event's fields, in their order. */
  readonly fields: readonly string[];
  readonly events: readonly { readonly startSeconds: number; readonly endSeconds: number; readonly values: string[] }[];
}

export interface Captions {
  readonly format: CaptionFormat;
  readonly cues: readonly Cue[];
  readonly script: AssScript | null;
}

/** How times are moved into the film's: `(time + shift) × scale`; what ends before 0 or begins after `endSeconds` goes. */
export interface Retiming {
  readonly shiftSeconds: number;
  readonly scale: number;
  readonly endSeconds: number | null;
}

export interface Times {
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** Null when nothing of it is left. */
export function retimed<Timed extends Times>(
  timed: Timed,
  { shiftSeconds, scale, endSeconds }: Retiming,
): Timed | null {
  const last = endSeconds ?? Number.POSITIVE_INFINITY;
  const start = Math.max(0, (timed.startSeconds + shiftSeconds) * scale);
  const end = Math.min(last, (timed.endSeconds + shiftSeconds) * scale);
  return end - start < 0.001 ? null : { ...timed, startSeconds: start, endSeconds: end };
}
