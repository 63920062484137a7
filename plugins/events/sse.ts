/**
 * One job's events as a stream of server-sent events (WHATWG HTML, "Server-sent events").
 *
 * The stream is pulled: nothing is read for a client that does not read, so a slow one costs a cursor. One that takes
 * nothing at all for `STALL_MS` is cut; it resumes by Last-Event-ID.
 */

import type { EventStream, StreamItem } from "../../src/events/hub.ts";
import { toEventMessage, toProgressMessage } from "../../src/events/messages.ts";
import type { Connections } from "../context.ts";

export interface SseTimes {
  /** A comment when nothing else was sent, so that nobody on the way takes the silence for death. */
  readonly heartbeatMs: number;
  readonly stallMs: number;
}

export const SSE_TIMES: SseTimes = { heartbeatMs: 15_000, stallMs: 60_000 };

/** How long a browser waits before it connects again. */
const RECONNECT_MS = 2_000;

export function toSseText(item: StreamItem): string {
  if (item.kind === "progress") {
    return `event: progress\ndata: ${JSON.stringify(toProgressMessage(item.progress))}\n\n`;
  }
  return item.events
    .map((event) => `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(toEventMessage(event))}\n\n`)
    .join("");
}

/** Takes over `stream` and closes it when the client leaves, the job ends, or the server drains. */
export function sseBody(
  stream: EventStream,
  connections: Connections,
  signal: AbortSignal,
  times: SseTimes = SSE_TIMES,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let pending: Promise<StreamItem | null> | null = null;
  let stall: ReturnType<typeof setTimeout> | null = null;
  let abort: (() => void) | null = null;

  const end = (): void => {
    if (stall !== null) clearTimeout(stall);
    stream.close();
    leave();
    signal.removeEventListener("abort", end);
  };
  const cut = (): void => {
    abort?.();
    end();
  };
  const leave = connections.add({ close: end });
  signal.addEventListener("abort", end);
  if (signal.aborted) end();

  /** Between two pulls the client has something unread; it may have it for so long. */
  const watchStall = (): void => {
    stall = setTimeout(cut, times.stallMs);
    stall.unref?.();
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        abort = () => controller.error(new Error("the client took nothing"));
        controller.enqueue(encoder.encode(`retry: ${RECONNECT_MS}\n\n`));
        watchStall();
      },
      async pull(controller) {
        if (stall !== null) clearTimeout(stall);
        // A heartbeat must not lose the item that was being waited for.
        pending ??= stream.next();
        let timer: ReturnType<typeof setTimeout> | undefined;
        const quiet = new Promise<"quiet">((resolve) => {
          timer = setTimeout(() => resolve("quiet"), times.heartbeatMs);
        });
        try {
          const item = await Promise.race([pending, quiet]);
          if (item === "quiet") {
            controller.enqueue(encoder.encode(": heartbeat\n\n"));
          } else {
            pending = null;
            if (item === null) {
              end();
              controller.close();
              return;
            }
            controller.enqueue(encoder.encode(toSseText(item)));
          }
          watchStall();
        } catch (error) {
          end();
          throw error;
        } finally {
          clearTimeout(timer);
        }
      },
      cancel: end,
    },
    { highWaterMark: 1 },
  );
}
