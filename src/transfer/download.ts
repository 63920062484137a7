/**
 * An object, or a part of it, into a file at the same offsets: in several ranges at once where the server can, so that one
 * slow connection is not the limit.
 */
import { type FileHandle, open } from "node:fs/promises";
import type { ObjectStat, StorageBackend } from "../storage/port.ts";
import { readParts } from "./read-parts.ts";

export interface Download {
  readonly backend: StorageBackend;
  readonly key: string;
  readonly stat: ObjectStat;
  /** Absolute; made when it is missing, and kept where nothing is written. */
  readonly path: string;
  readonly startByte?: number;
  /** Exclusive. */
  readonly endByte?: number;
  readonly signal: AbortSignal;
  /** Bytes that arrived so far. */
  onBytes?(total: number): void;
}

/** Of one range: small enough that the last one does not run alone for long, large enough to be worth a request. */
const RANGE_BYTES = 8 * 1024 * 1024;
const CONNECTIONS = 4;

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function rangesOf({ stat, startByte = 0, endByte = stat.sizeBytes }: Download): Range[] {
  if (stat.ranges === false) return [{ start: startByte, end: endByte }];
  const ranges: Range[] = [];
  for (let start = startByte; start < endByte; start += RANGE_BYTES) {
    ranges.push({ start, end: Math.min(endByte, start + RANGE_BYTES) });
  }
  return ranges;
}

/** Rejects with the backend's error; nothing is read or written any more when it settles. */
export async function download(request: Download): Promise<void> {
  const { backend, key, stat, path, onBytes } = request;
  const stopping = new AbortController();
  const signal = AbortSignal.any([request.signal, stopping.signal]);
  const ranges = rangesOf(request)[Symbol.iterator]();
  const file = await open(path, "a").then(async (made) => {
    await made.close();
    return open(path, "r+");
  });
  let total = 0;

  async function work(): Promise<void> {
    for (const { start, end } of ranges) {
      let position = start;
      for await (const part of readParts({ backend, key, stat, startByte: start, endByte: end, signal })) {
        await writeAt(file, part, position);
        position += part.length;
        total += part.length;
        onBytes?.(total);
      }
    }
  }

  try {
    const workers = Array.from({ length: CONNECTIONS }, () =>
      work().catch((error: unknown) => {
        stopping.abort(error);
        throw error;
      }),
    );
    const results = await Promise.allSettled(workers);
    request.signal.throwIfAborted();
    const failed = results.find((result) => result.status === "rejected");
    // The first failure is the reason of the others.
    if (failed !== undefined) throw stopping.signal.reason;
  } finally {
    await file.close();
  }
}
