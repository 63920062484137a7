/** The body of an answer as the port's stream: one read per pull, ended by an abort, and never short without an error. */
import { RendiffError } from "../../errors.ts";
import type { OpenOptions } from "../port.ts";
import { unavailable } from "./errors.ts";

export interface BodyOptions {
  readonly key: string;
  /** What the answer promised; null when it did not say. */
  readonly sizeBytes: number | null;
  readonly signal: AbortSignal | undefined;
}

/** The header's value, also for the whole object: an answer to it says the object's size beside its own. Null: no byte. */
export function rangeOf({ startByte = 0, endByte }: OpenOptions): string | null {
  if (endByte !== undefined && endByte <= startByte) return null;
  return `bytes=${startByte}-${endByte === undefined ? "" : endByte - 1}`;
}

/** The size of the whole in `bytes 0-4/10`; null without one. */
export function wholeOf(contentRange: string | null | undefined): number | null {
  const total = /\/(\d+)$/.exec(contentRange ?? "")?.[1];
  return total === undefined ? null : Number(total);
}

export const emptyStream = (): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      controller.close();
    },
  });

export function toStream(body: ReadableStream<Uint8Array>, options: BodyOptions): ReadableStream<Uint8Array> {
  const { key, sizeBytes, signal } = options;
  const reader = body.getReader();
  let received = 0;
  let stopListening = (): void => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (signal === undefined) return;
        const onAbort = (): void => {
          controller.error(signal.reason);
          reader.cancel(signal.reason).catch(() => {});
        };
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
        stopListening = () => signal.removeEventListener("abort", onAbort);
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (signal?.aborted === true) return;
          received += value?.length ?? 0;
          const isOff = sizeBytes !== null && (done ? received < sizeBytes : received > sizeBytes);
          if (isOff) throw unavailable(key, new Error(`${received} of ${sizeBytes} bytes came.`));
          if (value !== undefined) controller.enqueue(value);
          if (!done) return;
          stopListening();
          controller.close();
        } catch (error) {
          stopListening();
          if (signal?.aborted === true) return;
          controller.error(error instanceof RendiffError ? error : unavailable(key, error));
          await reader.cancel().catch(() => {});
        }
      },
      async cancel(reason) {
        stopListening();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
