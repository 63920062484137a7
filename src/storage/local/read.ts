/** An open file as a stream: one read per pull, closed at the end, on cancel, on abort and on error. */
import type { FileHandle } from "node:fs/promises";
import { RendiffError } from "../../errors.ts";
import type { ObjectStat, OpenOptions } from "../port.ts";
import { named, toStorageError } from "./errors.ts";
import { toObjectStat } from "./stat.ts";

const CHUNK_BYTES = 256 * 1024;

export const changed = (key: string): RendiffError =>
  new RendiffError({ kind: "input.changed", publicMessage: `${named(key)} changed while it was read.` });

function makeStream(handle: FileHandle, key: string, range: { start: number; end: number }, signal?: AbortSignal) {
  let position = range.start;
  let stopListening = (): void => {};
  const close = async (): Promise<void> => {
    stopListening();
    await handle.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (signal === undefined) return;
        const onAbort = (): void => {
          controller.error(signal.reason);
          // A read under way ends first; closing fails only when it was closed already.
          close().catch(() => {});
        };
        signal.addEventListener("abort", onAbort, { once: true });
        stopListening = () => signal.removeEventListener("abort", onAbort);
      },
      async pull(controller) {
        try {
          const buffer = new Uint8Array(Math.min(CHUNK_BYTES, range.end - position));
          const { bytesRead } =
            buffer.length === 0 ? { bytesRead: 0 } : await handle.read(buffer, 0, buffer.length, position);
          if (signal?.aborted === true) return;
          if (bytesRead === 0 && position < range.end) throw changed(key);
          position += bytesRead;
          if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead));
          if (position < range.end) return;
          await close();
          controller.close();
        } catch (error) {
          if (signal?.aborted === true) return;
          await close();
          controller.error(toStorageError(error, key));
        }
      },
      cancel: close,
    },
    // Nothing is read before it is asked for: most streams are opened to look at a part.
    { highWaterMark: 0 },
  );
}

/** Takes over `handle`: it is closed when this rejects, and with the stream when it resolves. */
export async function streamOf(
  handle: FileHandle,
  key: string,
  { startByte = 0, endByte, ifIdentity, signal }: OpenOptions,
): Promise<{ stat: ObjectStat; stream: ReadableStream<Uint8Array> }> {
  try {
    const stat = toObjectStat(await handle.stat({ bigint: true }));
    if (ifIdentity !== undefined && ifIdentity !== stat.identity) throw changed(key);
    signal?.throwIfAborted();
    const end = Math.min(endByte ?? stat.sizeBytes, stat.sizeBytes);
    return { stat, stream: makeStream(handle, key, { start: Math.min(startByte, end), end }, signal) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
