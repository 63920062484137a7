/**
 * An object's bytes in order, whatever its connection does: a read that fails is taken up where it stopped, and only of the
 * very object it began with. One part is in memory at a time; the reader sets the pace.
 */
import { toRendiffError } from "../errors.ts";
import type { ObjectStat, StorageBackend } from "../storage/port.ts";

export interface ReadOn {
  readonly backend: StorageBackend;
  readonly key: string;
  /** Of the object that is meant. */
  readonly stat: ObjectStat;
  readonly startByte?: number;
  /** Exclusive. */
  readonly endByte?: number;
  readonly signal: AbortSignal;
}

/** Failures in a row without a byte in between. */
const TRIES_MAX = 5;
const FIRST_WAIT_MS = 100;

function wait(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = (): void => resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  });
}

/** Rejects with the backend's error when it cannot pass, or does not within a few tries. */
export async function* readOn({ backend, key, stat, signal, ...range }: ReadOn): AsyncGenerator<Uint8Array> {
  const endByte = range.endByte ?? stat.sizeBytes;
  let position = range.startByte ?? 0;
  for (let failures = 0; position < endByte; ) {
    signal.throwIfAborted();
    try {
      const { stream } = await backend.open(key, { startByte: position, endByte, ifIdentity: stat.identity, signal });
      for await (const part of stream as unknown as AsyncIterable<Uint8Array>) {
        position += part.length;
        failures = 0;
        yield part;
      }
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      // Without parts each try begins at the first byte again: that is the next attempt's to decide.
      const canGoOn = toRendiffError(error).retry === "backoff" && stat.ranges !== false && failures < TRIES_MAX;
      if (!canGoOn) throw error;
      await wait(FIRST_WAIT_MS * 2 ** (failures - 1), signal);
    }
  }
}
