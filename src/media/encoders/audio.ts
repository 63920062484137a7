/** What each audio encoder takes. One table: they differ in numbers only. */
import type { AudioCodec } from "../operations/transcode.schema.ts";

export interface AudioEncoder {
  readonly codec: AudioCodec;
  /** As ffprobe names what it makes. */
  readonly probed: string;
  readonly encoder: string;
  /** Null: lossless, its bitrate follows from the samples. */
  readonly bitrate: { readonly min: number; readonly max: number; readonly defaultPerChannel: number } | null;
  /** Bits of a sample, for the size of lossless sound. */
  readonly sampleBits: number;
  readonly channelsMax: number;
  /** Rates it can hold, ascending; empty for any. */
  readonly rates: readonly number[];
}

const MPEG_RATES = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

const lossy = (min: number, max: number, defaultPerChannel: number) => ({ min, max, defaultPerChannel });

export const AUDIO_ENCODERS: Readonly<Record<AudioCodec, AudioEncoder>> = {
  aac: {
    codec: "aac",
    probed: "aac",
    encoder: "aac",
    bitrate: lossy(8_000, 1_536_000, 64_000),
    sampleBits: 16,
    channelsMax: 8,
    rates: [...MPEG_RATES, 64_000, 88_200, 96_000],
  },
  mp3: {
    codec: "mp3",
    probed: "mp3",
    encoder: "libmp3lame",
    bitrate: lossy(8_000, 320_000, 96_000),
    sampleBits: 16,
    channelsMax: 2,
    rates: MPEG_RATES,
  },
  opus: {
    codec: "opus",
    probed: "opus",
    encoder: "libopus",
    bitrate: lossy(6_000, 512_000, 64_000),
    sampleBits: 16,
    channelsMax: 8,
    rates: [48_000],
  },
  vorbis: {
    codec: "vorbis",
    probed: "vorbis",
    encoder: "libvorbis",
    bitrate: lossy(32_000, 500_000, 64_000),
    sampleBits: 16,
    channelsMax: 8,
    rates: [],
  },
  flac: {
    codec: "flac",
    probed: "flac",
    encoder: "flac",
    bitrate: null,
    sampleBits: 24,
    channelsMax: 8,
    rates: [],
  },
  ac3: {
    codec: "ac3",
    probed: "ac3",
    encoder: "ac3",
    bitrate: lossy(32_000, 640_000, 96_000),
    sampleBits: 16,
    channelsMax: 6,
    rates: [32_000, 44_100, 48_000],
  },
  eac3: {
    codec: "eac3",
    probed: "eac3",
    encoder: "eac3",
    bitrate: lossy(32_000, 6_144_000, 96_000),
    sampleBits: 16,
    channelsMax: 6,
    rates: [32_000, 44_100, 48_000],
  },
  alac: {
    codec: "alac",
    probed: "alac",
    encoder: "alac",
    bitrate: null,
    sampleBits: 24,
    channelsMax: 8,
    rates: [],
  },
  pcm_s16le: {
    codec: "pcm_s16le",
    probed: "pcm_s16le",
    encoder: "pcm_s16le",
    bitrate: null,
    sampleBits: 16,
    channelsMax: 8,
    rates: [],
  },
  pcm_s24le: {
    codec: "pcm_s24le",
    probed: "pcm_s24le",
    encoder: "pcm_s24le",
    bitrate: null,
    sampleBits: 24,
    channelsMax: 8,
    rates: [],
  },
};

/** The rate it can hold that loses least: the lowest that is not below the source's, else its highest. */
export function nearestRate({ rates }: AudioEncoder, wanted: number): number {
  if (rates.length === 0) return wanted;
  return rates.find((rate) => rate >= wanted) ?? rates.at(-1) ?? wanted;
}

/** Standard layouts, which every encoder with so many channels takes. */
const LAYOUTS: Readonly<Record<number, string>> = {
  1: "mono",
  2: "stereo",
  3: "3.0",
  4: "4.0",
  5: "5.0",
  6: "5.1",
  7: "6.1",
  8: "7.1",
};

export const layoutOf = (channels: number): string => LAYOUTS[channels] ?? "stereo";
