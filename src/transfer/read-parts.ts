/** An object's bytes in order, of the very object that is meant. One part is in memory at a time; the reader sets the pace. */
import type { ObjectStat, StorageBackend } from "../storage/port.ts";

export interface ReadParts {
  /** Its decorators take up what breaks off. */
  readonly backend: StorageBackend;
  readonly key: string;
  /** Of the object that is meant. */
  readonly stat: ObjectStat;
  readonly startByte?: number;
  /** Exclusive. */
  readonly endByte?: number;
  readonly signal: AbortSignal;
}

/** Rejects with the backend's error. */
export async function* readParts({ backend, key, stat, signal, ...range }: ReadParts): AsyncGenerator<Uint8Array> {
  const { startByte = 0, endByte = stat.sizeBytes } = range;
  if (startByte >= endByte) return;
  const { stream } = await backend.open(key, { startByte, endByte, ifIdentity: stat.identity, signal });
  yield* stream as unknown as AsyncIterable<Uint8Array>;
}
