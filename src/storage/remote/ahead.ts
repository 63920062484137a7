/**
 * Parts of a file that is still being written.
 *
 * Nothing is believed of how a muxer writes: what was sent is remembered by its sum, and when the file is whole each part is
 * held against it. Most muxers only append, and go back to their first bytes at the end; so the first part is not sent
 * ahead. An index that is moved to the front shifts all media by its
 * length: the parts are then the same behind a first one that is so much longer.
 */
import type { FileHandle } from "node:fs/promises";
import { indexBytesInFront } from "../../media/index-in-front.ts";
import { openSource } from "../local/transfer.ts";
import type { AheadOptions, SentAhead } from "../port.ts";
import { afterGrace, type Cut, type Part, partBytesFor, readFully } from "./source.ts";

const HEAD_BYTES = 4_096;

/** Tells whether a muxer wrote a part anew; nobody has anything to gain from two parts that it takes for one. */
export const sumOf = (bytes: Uint8Array): bigint => Bun.hash.xxHash3(bytes);

/**
 * A part's name where parts have names, always of one length. One that was written anew has another name: a request that
 * was given up and reaches the store after all does not replace it.
 */
export const partNameOf = ({ number, bytes }: Pick<Part, "number" | "bytes">): string =>
  `${String(number).padStart(5, "0")}-${sumOf(bytes).toString(16).padStart(16, "0")}`;

type Send = (part: Part, signal: AbortSignal) => Promise<void>;

/** Resolves when the file holds that many bytes; to false when it is whole and does not. */
async function until(file: { handle: FileHandle | null }, path: string, bytes: number, options: AheadOptions) {
  for (;;) {
    options.signal.throwIfAborted();
    // FFmpeg makes it when it begins to write.
    file.handle ??= await openSource(path).catch(() => null);
    if (file.handle !== null && (await file.handle.stat()).size >= bytes) return true;
    if (await options.growing.next(options.signal)) return false;
  }
}

/** At most `atOnce` parts at a time. Resolves when nothing is under way any more; rejects when the signal aborts. */
export async function sendAheadParts(
  path: string,
  options: AheadOptions,
  atOnce: number,
  send: Send,
): Promise<SentAhead> {
  const partBytes = partBytesFor(options.sizeBytesMax);
  const sums = new Map<number, bigint>();
  const sending = new Set<Promise<void>>();
  const { signal } = options;
  const requests = afterGrace(signal);
  const file: { handle: FileHandle | null } = { handle: null };
  let problem: unknown = null;
  const one = async (part: Part): Promise<void> => {
    try {
      await send(part, requests);
      sums.set(part.number, sumOf(part.bytes));
    } catch (error) {
      // Those under way go on to their end: given up, they might arrive when the file is another.
      problem ??= error;
    }
  };
  try {
    for (let number = 2; await until(file, path, number * partBytes, options); number++) {
      if (file.handle === null || problem !== null) break;
      const startByte = (number - 1) * partBytes;
      const bytes = new Uint8Array(partBytes);
      await readFully(file.handle, bytes, startByte);
      const sent: Promise<void> = one({ number, startByte, bytes }).finally(() => sending.delete(sent));
      sending.add(sent);
      if (sending.size >= atOnce) await Promise.race(sending);
    }
  } catch (error) {
    problem ??= error;
  } finally {
    await Promise.all(sending);
    await file.handle?.close();
  }
  signal.throwIfAborted();
  return { partBytes, sums, problem };
}

/** How the whole file is cut, so that what was sent ahead is a part of it; null where nothing was. */
export async function cutOf(path: string, ahead: SentAhead | undefined): Promise<Cut | null> {
  if (ahead === undefined || ahead.sums.size === 0) return null;
  const handle = await openSource(path);
  try {
    const { bytesRead, buffer } = await handle.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const { partBytes } = ahead;
    return { partBytes, firstBytes: partBytes + indexBytesInFront(buffer.subarray(0, bytesRead)) };
  } finally {
    await handle.close();
  }
}
