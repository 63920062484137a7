/**
 * Tries again what may pass. Every call but `stage`, `fill` and `fillFrom` can be repeated after an unknown outcome; a stream that
 * breaks off goes on where it was, in the very object that was opened, or fails as changed. Only where a server knows no
 * parts it is not taken up: each try would begin at the first byte again.
 */
import { setTimeout as delay } from "node:timers/promises";
import { RendiffError } from "../../errors.ts";
import type { ObjectStat, OpenOptions, StorageBackend } from "../port.ts";
import { corrupt, unavailable } from "../remote/errors.ts";
import { type Around, aroundCalls } from "./around.ts";

export interface RetryPolicy {
  readonly tries: number;
  readonly baseMs: number;
  readonly capMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export const RETRIES: RetryPolicy = { tries: 5, baseMs: 100, capMs: 5_000, random: Math.random };

const mayPass = (error: unknown): boolean => error instanceof RendiffError && error.kind === "storage.unavailable";

async function pause(policy: RetryPolicy, failures: number, signal: AbortSignal | undefined): Promise<void> {
  const ceilingMs = Math.min(policy.capMs, policy.baseMs * 2 ** (failures - 1));
  try {
    await delay(policy.random() * ceilingMs, undefined, signal === undefined ? {} : { signal });
  } catch {
    signal?.throwIfAborted();
  }
}

async function retried<T>(policy: RetryPolicy, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!mayPass(error) || signal?.aborted === true || failures >= policy.tries) throw error;
      await pause(policy, failures, signal);
    }
  }
}

interface Reading {
  readonly key: string;
  readonly options: OpenOptions;
  readonly stat: ObjectStat;
  readonly stream: ReadableStream<Uint8Array>;
}

/** The bytes from `startByte` to the end, whatever happens to the connections that bring them. */
function resumed(backend: StorageBackend, policy: RetryPolicy, reading: Reading): ReadableStream<Uint8Array> {
  const { key, options, stat } = reading;
  const end = Math.min(options.endByte ?? stat.sizeBytes, stat.sizeBytes);
  // What is being opened anew when the reader goes has nobody else to end it.
  const gone = new AbortController();
  const signal = options.signal === undefined ? gone.signal : AbortSignal.any([options.signal, gone.signal]);
  let position = Math.min(options.startByte ?? 0, end);
  let reader = reading.stream.getReader();
  let failures = 0;

  const canGoOn = (error: unknown): boolean =>
    mayPass(error) && stat.ranges !== false && !signal.aborted && failures < policy.tries;

  async function next(): Promise<Uint8Array | null> {
    const { done, value } = await reader.read();
    if (!done) return value;
    if (position < end) throw unavailable(key, new Error(`${end - position} bytes did not come.`));
    return null;
  }

  async function reopen(error: unknown): Promise<void> {
    failures += 1;
    await reader.cancel(error).catch(() => {});
    if (!canGoOn(error)) throw error;
    await pause(policy, failures, signal);
    const range = { startByte: position, endByte: end, ifIdentity: stat.identity, signal };
    reader = (await backend.open(key, range)).stream.getReader();
  }

  async function read(): Promise<Uint8Array | null> {
    for (let problem: unknown = null; ; ) {
      try {
        if (problem !== null) await reopen(problem);
        const bytes = await next();
        if (bytes !== null && bytes.length > end - position) throw corrupt(key, "sent more bytes than there are of");
        position += bytes?.length ?? 0;
        // What made progress has not failed in a row.
        if (bytes !== null && bytes.length > 0) failures = 0;
        return bytes;
      } catch (error) {
        if (!canGoOn(error)) throw error;
        problem = error;
      }
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const bytes = await read();
          if (bytes === null) controller.close();
          else controller.enqueue(bytes);
        } catch (error) {
          controller.error(options.signal?.aborted === true ? options.signal.reason : error);
        }
      },
      cancel(reason) {
        gone.abort(reason);
        // A stream that has broken off answers with why; nobody asks any more.
        return reader.cancel(reason).catch(() => {});
      },
    },
    { highWaterMark: 0 },
  );
}

export function withRetries(backend: StorageBackend, policy: RetryPolicy = RETRIES): StorageBackend {
  // A copy that failed has left parts behind: who asked for it aborts the staging, or brings the bytes.
  const around: Around = (operation, signal, work) =>
    operation === "fillFrom" ? work(signal) : retried(policy, signal, () => work(signal));
  return {
    ...aroundCalls(backend, around),
    // The adapter repeats its requests itself: what a repeated beginning leaves, only it can know.
    stage: (key, owner, signal, mediaType) => backend.stage(key, owner, signal, mediaType),
    fill: (staged, path, options) => backend.fill(staged, path, options),
    async open(key, options = {}) {
      const { stat, stream } = await retried(policy, options.signal, () => backend.open(key, options));
      return { stat, stream: resumed(backend, policy, { key, options, stat, stream }) };
    },
  };
}
