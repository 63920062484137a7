/** The lowest and highest sample of each part of a sound, for drawing it. */

const FULL_SCALE = 32_768;

export interface PeaksRequest {
  readonly sampleRate: number;
  readonly parts: number;
}

export interface Peaks {
  readonly json: string;
  readonly samples: number;
  readonly durationSeconds: number;
}

const rounded = (value: number): number => Math.round((value / FULL_SCALE) * 10_000) / 10_000;

/** Takes 16-bit little-endian samples in pieces of any size; `total` is how many there will be. */
export function makePeaks({ sampleRate, parts }: PeaksRequest, total: number) {
  const count = Math.max(1, Math.min(parts, total));
  const low = new Int16Array(count).fill(FULL_SCALE - 1);
  const high = new Int16Array(count).fill(-FULL_SCALE);
  let seen = 0;
  let odd: number | null = null;
  const take = (sample: number): void => {
    const part = Math.min(count - 1, Math.floor((seen * count) / Math.max(1, total)));
    if (sample < (low[part] ?? 0)) low[part] = sample;
    if (sample > (high[part] ?? 0)) high[part] = sample;
    seen += 1;
  };
  const signed = (first: number, second: number): number => ((second << 24) >> 16) | first;
  return {
    push(chunk: Uint8Array): void {
      let at = 0;
      if (odd !== null && chunk.length > 0) {
        take(signed(odd, chunk[0] ?? 0));
        odd = null;
        at = 1;
      }
      for (; at + 1 < chunk.length; at += 2) take(signed(chunk[at] ?? 0, chunk[at + 1] ?? 0));
      if (at < chunk.length) odd = chunk[at] ?? 0;
    },
    end(): Peaks {
      const durationSeconds = Math.round((seen / sampleRate) * 1_000) / 1_000;
      const peaks = seen === 0 ? [] : Array.from(low, (least, part) => [rounded(least), rounded(high[part] ?? 0)]);
      const json = `${JSON.stringify({ version: 1, duration_seconds: durationSeconds, peaks })}\n`;
      return { json, samples: seen, durationSeconds };
    },
  };
}
