/**
 * Addresses that have used up their limit, until their window ends. What they send meanwhile is refused before anything is
 * done for it: no route, no key, no question to Redis. So guessing keys costs those who have one next to nothing.
 */
export interface AddressBlocks {
  /** Those that have ended and were not asked for since are among them. */
  readonly size: number;
  /** `bucket` as `addressBucket` makes it. */
  add(bucket: string, durationMs: number): void;
  /** How long it still lasts; 0 where there is none. */
  remainingMs(bucket: string): number;
}

/** Beyond, the oldest is forgotten, and counted as before. */
const ENTRIES_MAX = 10_000;

export function makeAddressBlocks({ entriesMax = ENTRIES_MAX, now = () => performance.now() } = {}): AddressBlocks {
  const untilMs = new Map<string, number>();
  return {
    get size() {
      return untilMs.size;
    },
    add(bucket, durationMs) {
      untilMs.delete(bucket);
      untilMs.set(bucket, now() + durationMs);
      const [oldest] = untilMs.keys();
      if (untilMs.size > entriesMax && oldest !== undefined) untilMs.delete(oldest);
    },
    remainingMs(bucket) {
      const until = untilMs.get(bucket);
      if (until === undefined) return 0;
      const remaining = until - now();
      if (remaining > 0) return remaining;
      untilMs.delete(bucket);
      return 0;
    },
  };
}
