/** A preset is part of a spec by name. What a request says itself always wins over what its preset says. */

export type PresetOperation = Readonly<Record<string, unknown>>;

/** Operations and options as a client writes them; checked like a client's, after they are merged. */
export interface Preset {
  readonly name: string;
  /** Counted up with every change; a job names the one it was made with. */
  readonly version: number;
  readonly description: string;
  readonly operations: readonly PresetOperation[];
  readonly options: Readonly<Record<string, unknown>>;
}

export interface PartialSpec {
  readonly operations: readonly PresetOperation[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** Parameters that mean something for one codec only: with another codec, the preset's are left out. */
const OF_VIDEO_CODEC = ["preset", "tune", "profile", "level", "pixel_format", "crf", "gop_size", "b_frames"] as const;
const OF_AUDIO_CODEC = ["audio_bitrate", "audio_sample_rate"] as const;
/** Of these a request takes one: naming one drops the preset's other. */
const RATES = ["crf", "video_bitrate"] as const;

const isRecord = (value: unknown): value is PresetOperation =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** With its `params` beside its type. */
function flat(operation: PresetOperation): PresetOperation {
  const { params, ...rest } = operation;
  return isRecord(params) ? { ...rest, ...params } : rest;
}

function mergeTranscode(preset: PresetOperation, own: PresetOperation): PresetOperation {
  const given = flat(own);
  const base: Record<string, unknown> = { ...preset };
  const drop = (names: readonly string[]) => {
    for (const name of names) delete base[name];
  };
  if (given.video_codec !== undefined && given.video_codec !== preset.video_codec) drop(OF_VIDEO_CODEC);
  if (given.audio_codec !== undefined && given.audio_codec !== preset.audio_codec) drop(OF_AUDIO_CODEC);
  if (RATES.some((name) => given[name] !== undefined)) drop([...RATES, "max_bitrate", "buffer_size"]);
  return { ...base, ...given };
}

/**
 * `spec` with what `preset` adds: a transcode is merged field by field; other operations of the preset follow the
 * request's own, unless the request has one of that type; options fill what is not given.
 */
export function applyPreset(spec: PartialSpec, preset: Preset): PartialSpec {
  const types = new Set(spec.operations.map(({ type }) => type));
  const transcode = preset.operations.find(({ type }) => type === "transcode");
  const merged = spec.operations.map((operation) =>
    operation.type === "transcode" && transcode !== undefined ? mergeTranscode(transcode, operation) : operation,
  );
  const added = preset.operations.filter(({ type }) => !types.has(type));
  return { operations: [...merged, ...added], options: { ...preset.options, ...spec.options } };
}

export interface PresetReference {
  readonly name: string;
  readonly version: number | null;
}

/** `web`, or `web@1` for just this version; null when it is neither. */
export function parsePresetReference(text: string): PresetReference | null {
  const match = /^([a-z0-9][a-z0-9-]{0,63})(?:@([1-9]\d{0,8}))?$/.exec(text);
  if (match === null) return null;
  return { name: match[1] ?? "", version: match[2] === undefined ? null : Number(match[2]) };
}

export const printPresetReference = ({ name, version }: Preset): string => `${name}@${version}`;
