import type { Cache } from "../ports.ts";
import { type MonotonicClock, monotonicNowMs } from "./clock.ts";

/** Values in the order of their last use; beyond `entriesMax` or `lengthMax` those unused for longest go. */
const ENTRIES_MAX = 10_000;
/** UTF-16 units of all values together. */
const LENGTH_MAX = 8_000_000;

export interface MemoryCacheOptions {
  readonly entriesMax?: number;
  readonly lengthMax?: number;
  readonly nowMs?: MonotonicClock;
}

interface Entry {
  readonly value: string;
  readonly untilMs: number;
}

export function makeMemoryCache({
  entriesMax = ENTRIES_MAX,
  lengthMax = LENGTH_MAX,
  nowMs = monotonicNowMs,
}: MemoryCacheOptions = {}): Cache {
  const entries = new Map<string, Entry>();
  let length = 0;
  const remove = (name: string): void => {
    length -= entries.get(name)?.value.length ?? 0;
    entries.delete(name);
  };
  const put = (name: string, entry: Entry): void => {
    remove(name);
    entries.set(name, entry);
    length += entry.value.length;
  };
  const get = async (name: string): Promise<string | null> => {
    const entry = entries.get(name);
    if (entry === undefined) return null;
    if (entry.untilMs <= nowMs()) {
      remove(name);
      return null;
    }
    put(name, entry);
    return entry.value;
  };
  const set = async (name: string, value: string, ttlMs: number): Promise<void> => {
    put(name, { value, untilMs: nowMs() + ttlMs });
    for (const oldest of entries.keys()) {
      if (entries.size <= entriesMax && length <= lengthMax) return;
      remove(oldest);
    }
  };
  return {
    get,
    set,
    async getFields(name) {
      const text = await get(name);
      return text === null ? null : (JSON.parse(text) as Record<string, string>);
    },
    setFields: (name, fields, ttlMs) => set(name, JSON.stringify(fields), ttlMs),
    async delete(name) {
      remove(name);
    },
    async close() {
      entries.clear();
      length = 0;
    },
  };
}
