/** A work file in parts of one size, each in a buffer of its own, hashed on its way. */
import type { FileHandle } from "node:fs/promises";
import { openSource } from "../local/transfer.ts";

const MEBIBYTE = 1024 * 1024;
/** S3 takes no smaller ones, but for the last. */
const PART_BYTES_MIN = 5 * MEBIBYTE;
/** Read and summed at once: parts that are being sent, and everything else, have their turn in between. */
const SLICE_BYTES = MEBIBYTE;
/** S3 takes 10,000; one is kept for the owner's mark. */
const PARTS_MAX = 9_000;

export interface Part {
  /** From 1. */
  readonly number: number;
  readonly startByte: number;
  readonly bytes: Uint8Array;
}

export interface Cut {
  readonly partBytes: number;
  /** Of the first part, which may be larger. */
  readonly firstBytes: number;
}

export interface Source extends AsyncDisposable {
  readonly sizeBytes: number;
  /** An empty file is one empty part. The sums hold when the last one was taken. */
  parts(signal?: AbortSignal): AsyncGenerator<Part>;
  /** Gives a part's buffer back, to be written over by another part: fresh ones would pile up until they are collected. */
  release(part: Part): void;
  sha256(): string;
  /** Of the whole, in hex: what many stores say of an object. */
  md5(): string;
}

/** Where nothing was sent ahead all parts but the last have this size: some stores want that. */
export function partBytesFor(sizeBytes: number): number {
  const needed = Math.ceil(sizeBytes / PARTS_MAX / MEBIBYTE) * MEBIBYTE;
  return Math.max(PART_BYTES_MIN, needed);
}

export async function readFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new Error("A file became shorter while it was uploaded.");
    done += bytesRead;
  }
}

/** Rejects with `output.invalid` when there is no such file. */
export async function openParts(path: string, cut: Cut | null = null): Promise<Source> {
  const handle = await openSource(path);
  const { size: sizeBytes } = await handle.stat();
  const { partBytes, firstBytes } = cut ?? { partBytes: partBytesFor(sizeBytes), firstBytes: partBytesFor(sizeBytes) };
  const sha256 = new Bun.CryptoHasher("sha256");
  const md5 = new Bun.CryptoHasher("md5");
  const free: ArrayBuffer[] = [];
  return {
    sizeBytes,
    async *parts(signal) {
      for (let number = 1, start = 0, length = 0; number === 1 || start < sizeBytes; number += 1, start += length) {
        signal?.throwIfAborted();
        length = Math.min(number === 1 ? firstBytes : partBytes, sizeBytes - start);
        const fits = length <= partBytes ? free.pop() : undefined;
        const bytes = new Uint8Array(
          fits ?? new ArrayBuffer(Math.min(Math.max(length, partBytes), sizeBytes)),
          0,
          length,
        );
        for (let at = 0; at < length; at += SLICE_BYTES) {
          const slice = bytes.subarray(at, at + SLICE_BYTES);
          await readFully(handle, slice, start + at);
          sha256.update(slice);
          md5.update(slice);
        }
        yield { number, startByte: start, bytes };
      }
    },
    release({ bytes }) {
      if (bytes.buffer.byteLength <= partBytes) free.push(bytes.buffer as ArrayBuffer);
    },
    sha256: () => sha256.digest("hex"),
    md5: () => md5.digest("hex"),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

/** A request that is cut off may be served all the same, after what it left was looked for. */
const GRACE_MS = 1_000;

/** For requests: aborts a moment after `signal`, so that most end by themselves, and what they leave is there to be removed. */
export function afterGrace(signal: AbortSignal): AbortSignal {
  const later = new AbortController();
  const begin = (): void => void setTimeout(() => later.abort(signal.reason), GRACE_MS).unref();
  if (signal.aborted) later.abort(signal.reason);
  else signal.addEventListener("abort", begin, { once: true });
  return later.signal;
}

/** Sends parts as they come, at most `atOnce` at a time: what is held in memory is that many parts and one more. */
export async function sendParts<T>(
  source: Source,
  { atOnce, signal }: { readonly atOnce: number; readonly signal: AbortSignal | undefined },
  send: (part: Part, signal: AbortSignal) => Promise<T>,
): Promise<T[]> {
  const stop = new AbortController();
  const combined = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const requests = afterGrace(combined);
  const sending = new Set<Promise<void>>();
  const results: T[] = [];
  try {
    for await (const part of source.parts(combined)) {
      const one: Promise<void> = send(part, requests).then((result) => {
        results[part.number - 1] = result;
        source.release(part);
        sending.delete(one);
      });
      // It is awaited below; until then a rejection must not count as unhandled.
      one.catch(() => {});
      sending.add(one);
      if (sending.size >= atOnce) await Promise.race(sending);
    }
    await Promise.all(sending);
    return results;
  } catch (error) {
    // Nothing may arrive after the caller was told that it failed.
    stop.abort(error);
    await Promise.allSettled(sending);
    throw error;
  }
}
