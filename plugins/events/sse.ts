/**
 * One job's events as a stream of server-sent events (WHATWG HTML, "Server-sent events").
 *
 * The stream is pulled: nothing is read for a client that does not read, so a slow one costs a cursor. One that takes
 * nothing at all for `STALL_MS` is cut; it resumes by Last-Event-ID.
 */
import type { StreamItem } from "../../src/events/hub.ts";
import { toEventText, toProgressText } from "../../src/events/messages.ts";
import type { JobEvent, KeyId } from "../../src/jobs/types.ts";
import type { Connections } from "../connections.ts";

/** A comment when nothing else was sent for so long, so that nobody on the way takes the silence for death. */
export const HEARTBEAT_MS = 15_000;
export const STALL_MS = 60_000;
/** How long a browser waits before it connects again. */
const RECONNECT_MS = 2_000;

const encoder = new TextEncoder();
const HEARTBEAT = encoder.encode(": heartbeat\n\n");
const HELLO = encoder.encode(`retry: ${RECONNECT_MS}\n\n`);

/** `idOf`: what a browser sends back as Last-Event-ID. */
export function toSseText(item: StreamItem, idOf: (event: JobEvent) => string = ({ seq }) => String(seq)): string {
  if (item.kind === "progress") return `event: progress\ndata: ${toProgressText(item.progress)}\n\n`;
  return item.events
    .map((event) => `id: ${idOf(event)}\nevent: ${event.type}\ndata: ${toEventText(event)}\n\n`)
    .join("");
}

export interface SseSource<Item> {
  /** Null at the end. One call at a time. */
  next(): Promise<Item | null>;
  close(): void;
}

export interface SseClient {
  readonly keyId: KeyId;
  /** When what it came with ends. */
  readonly expiresAt: Date | null;
  /** Aborts when it leaves. */
  readonly signal: AbortSignal;
}

/** Takes over `stream` and closes it when the client leaves, its end is reached, or the server drains. */
export function sseBody<Item extends object>(
  stream: SseSource<Item>,
  toText: (item: Item) => string,
  connections: Connections,
  { keyId, expiresAt, signal }: SseClient,
): ReadableStream<Uint8Array> {
  let pending: Promise<Item | null> | null = null;
  let quiet: PromiseWithResolvers<"quiet"> | null = null;
  let sentAtMs = performance.now();
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  const end = (): void => {
    stream.close();
    leave();
    signal.removeEventListener("abort", end);
  };
  const tick = (nowMs: number): void => {
    const sinceMs = nowMs - sentAtMs;
    if (quiet !== null) {
      if (sinceMs >= HEARTBEAT_MS) quiet.resolve("quiet");
    } else if (sinceMs >= STALL_MS) {
      // Nobody asked for more since: what was sent last is not taken yet.
      controller?.error(new Error("the client took nothing"));
      end();
    }
  };
  const leave = connections.add({ keyId, expiresAt, close: end, tick });
  signal.addEventListener("abort", end);
  if (signal.aborted) end();

  const send = (bytes: Uint8Array): void => {
    sentAtMs = performance.now();
    controller?.enqueue(bytes);
  };

  return new ReadableStream<Uint8Array>(
    {
      start(own) {
        controller = own;
        send(HELLO);
      },
      async pull(own) {
        quiet = Promise.withResolvers();
        try {
          // A heartbeat must not lose the item that is being waited for.
          pending ??= stream.next();
          const item = await Promise.race([pending, quiet.promise]);
          if (item === "quiet") return send(HEARTBEAT);
          pending = null;
          if (item !== null) return send(encoder.encode(toText(item)));
          end();
          own.close();
        } catch (error) {
          end();
          throw error;
        } finally {
          quiet = null;
        }
      },
      cancel: end,
    },
    { highWaterMark: 1 },
  );
}
