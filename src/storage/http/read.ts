/** An answer's body as a stream: exactly the bytes that were promised, one part per pull, or an error. */
import type { IncomingMessage } from "node:http";
import { endedEarly, stalled } from "./errors.ts";

export interface Source {
  readonly body: IncomingMessage;
  /** Read and dropped first: from a server that sends the whole where a part was asked for. */
  readonly skipBytes: number;
  readonly lengthBytes: number;
  readonly stallTimeoutMs: number;
}

/** The next part, or null at the end; rejects when none comes in time. */
async function nextPart(parts: AsyncIterator<Buffer>, stallTimeoutMs: number): Promise<Buffer | null> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(stalled(stallTimeoutMs)), stallTimeoutMs);
  try {
    const next = await Promise.race([parts.next(), promise]);
    return next.done === true ? null : next.value;
  } finally {
    clearTimeout(timer);
  }
}

export function toStream(source: Source, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
  const { body, stallTimeoutMs } = source;
  const parts = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let skip = source.skipBytes;
  let left = source.lengthBytes;
  const stop = (): void => {
    body.on("error", () => {});
    body.destroy();
  };
  signal?.addEventListener("abort", stop, { once: true });
  const end = (): void => {
    signal?.removeEventListener("abort", stop);
    stop();
  };

  async function pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (left > 0) {
      const part = await nextPart(parts, stallTimeoutMs);
      if (part === null) throw endedEarly(left + skip);
      const skipped = Math.min(skip, part.length);
      skip -= skipped;
      const bytes = part.subarray(skipped, skipped + left);
      if (bytes.length === 0) continue;
      left -= bytes.length;
      controller.enqueue(bytes);
      if (left > 0) return;
    }
    end();
    controller.close();
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          await pull(controller);
        } catch (error) {
          end();
          if (signal?.aborted === true) throw signal.reason;
          // A connection that broke is an answer that ended early.
          throw error instanceof Error && error.name === "RendiffError" ? error : endedEarly(left + skip, error);
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}
