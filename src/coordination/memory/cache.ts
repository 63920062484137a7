import type { Cache } from "../ports.ts";
import { type MonotonicClock, monotonicNowMs } from "./clock.ts";

/** Values in the order of their last use; beyond `entriesMax` the one unused for longest goes. */
const ENTRIES_MAX = 10_000;

export interface MemoryCacheOptions {
  readonly entriesMax?: number;
  readonly nowMs?: MonotonicClock;
}

export function makeMemoryCache({ entriesMax = ENTRIES_MAX, nowMs = monotonicNowMs }: MemoryCacheOptions = {}): Cache {
  const entries = new Map<string, { readonly value: string; readonly untilMs: number }>();
  const get = async (name: string): Promise<string | null> => {
    const entry = entries.get(name);
    if (entry === undefined) return null;
    entries.delete(name);
    if (entry.untilMs <= nowMs()) return null;
    entries.set(name, entry);
    return entry.value;
  };
  const set = async (name: string, value: string, ttlMs: number): Promise<void> => {
    entries.delete(name);
    entries.set(name, { value, untilMs: nowMs() + ttlMs });
    if (entries.size <= entriesMax) return;
    const [oldest] = entries.keys();
    if (oldest !== undefined) entries.delete(oldest);
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
      entries.delete(name);
    },
    async close() {
      entries.clear();
    },
  };
}
