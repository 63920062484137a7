/** Bytes that are fetched before their reader asks for them: while it starts, or pauses, the line goes on. */

/**
 * Begins at once; at most `bytesMax` and one part lie waiting. Nothing more is asked for once the signal aborts or the reader
 * ends. Rejects with what `parts` rejects with, after all that came before it.
 */
export function readAhead(
  parts: AsyncIterable<Uint8Array>,
  bytesMax: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let end: { readonly problem: unknown } | null = null;
  let unwanted = false;
  let changed = Promise.withResolvers<void>();
  const tell = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };

  async function fetchAll(): Promise<void> {
    for await (const part of parts) {
      waiting.push(part);
      waitingBytes += part.length;
      tell();
      while (waitingBytes >= bytesMax && !unwanted && !signal.aborted) await changed.promise;
      if (unwanted || signal.aborted) break;
    }
    signal.throwIfAborted();
  }

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const part = waiting.shift();
        if (part !== undefined) {
          waitingBytes -= part.length;
          tell();
          yield part;
        } else if (end === null) {
          await changed.promise;
        } else {
          if (end.problem !== null) throw end.problem;
          return;
        }
      }
    } finally {
      unwanted = true;
      tell();
    }
  }

  signal.addEventListener("abort", tell, { once: true });
  fetchAll()
    .then(
      () => {
        end = { problem: null };
      },
      (problem: unknown) => {
        end = { problem };
      },
    )
    .finally(() => {
      signal.removeEventListener("abort", tell);
      tell();
    });
  return read();
}
