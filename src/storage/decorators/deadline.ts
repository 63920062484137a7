/**
 * No call and no stream hangs: a call has a deadline, a stream a limit on the time without a byte. Both fail with
 * `storage.unavailable`, so that whoever retries does.
 */
import type { StorageBackend } from "../port.ts";
import { unavailable } from "../remote/errors.ts";
import { type Around, aroundCalls, type Operation } from "./around.ts";

export interface Deadlines {
  /** Of a call that moves no bytes. */
  readonly callMs: number;
  /** Of those that make an object visible or stage it from another, which may copy it. */
  readonly publishMs: number;
  /** Between two chunks of a stream, and between two reports of an upload. */
  readonly idleMs: number;
}

export const DEADLINES: Deadlines = { callMs: 60_000, publishMs: 600_000, idleMs: 60_000 };

interface Watch {
  readonly signal: AbortSignal;
  /** Begins the time anew. */
  alive(): void;
  end(): void;
}

function watch(name: string, limitMs: number, outer: AbortSignal | undefined): Watch {
  const late = new AbortController();
  const expire = (): void => late.abort(unavailable(name, new Error(`Nothing came of it for ${limitMs} ms.`)));
  let timer = setTimeout(expire, limitMs);
  return {
    signal: outer === undefined ? late.signal : AbortSignal.any([outer, late.signal]),
    alive() {
      clearTimeout(timer);
      timer = setTimeout(expire, limitMs);
    },
    end: () => clearTimeout(timer),
  };
}

/** The work, or the signal's reason as soon as there is one: an SDK may not hear of its signal everywhere. */
async function raced<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    // It lost the race: what becomes of it later is nobody's concern.
    work.catch(() => {});
    aborted.promise.catch(() => {});
  }
}

function watchedStream(stream: ReadableStream<Uint8Array>, name: string, idleMs: number): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Only while somebody waits for a chunk: a reader that takes its time is no stall.
        const one = watch(name, idleMs, undefined);
        try {
          const { done, value } = await raced(one.signal, reader.read());
          if (value !== undefined) controller.enqueue(value);
          if (done) controller.close();
        } catch (error) {
          controller.error(error);
          reader.cancel(error).catch(() => {});
        } finally {
          one.end();
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

export function withDeadlines(backend: StorageBackend, deadlines: Deadlines = DEADLINES): StorageBackend {
  const limitOf = (operation: Operation): number =>
    operation === "publish" || operation === "fillFrom" ? deadlines.publishMs : deadlines.callMs;
  const around: Around = async (operation, signal, work) => {
    const one = watch(backend.name, limitOf(operation), signal);
    try {
      return await raced(one.signal, work(one.signal));
    } finally {
      one.end();
    }
  };
  const calls = aroundCalls(backend, around);
  return {
    ...calls,
    async open(key, options) {
      const { stat, stream } = await calls.open(key, options);
      return { stat, stream: watchedStream(stream, backend.name, deadlines.idleMs) };
    },
    async fill(staged, path, options) {
      const one = watch(backend.name, deadlines.idleMs, options.signal);
      try {
        const onBytes = (totalBytes: number): void => {
          one.alive();
          options.onBytes?.(totalBytes);
        };
        return await backend.fill(staged, path, { ...options, signal: one.signal, onBytes });
      } finally {
        one.end();
      }
    },
  };
}
