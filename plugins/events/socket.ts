/**
 * Events over one WebSocket: any number of subscriptions up to a limit, sent one message after another, and only as fast
 * as the client takes them.
 *
 * Nothing is queued for a client: each subscription is a cursor that is asked for its next item when the last one is
 * sent. When the socket reports back-pressure everything waits for its drain; a client that does not drain in time is
 * cut, as is one that answers none of the server's pings.
 */
import type { EventHub, EventStream, StreamItem } from "../../src/events/hub.ts";
import { toEventText, toProgressText } from "../../src/events/messages.ts";
import type { JobId } from "../../src/jobs/types.ts";
import type { Connections } from "../connections.ts";
import type { SocketData } from "../peers.ts";

/** RFC 6455 §7.4.1; 4000–4999 are the application's. */
export const CLOSE = { normal: 1000, goingAway: 1001, internal: 1011, stalled: 4008, gone: 4004 } as const;

/** A socket that does not drain for so long is cut. */
export const SOCKET_STALL_MS = 60_000;

const SUBSCRIPTIONS_MAX = 200;
/** More unsent bytes than this, and nothing further is read for the socket. */
const BUFFERED_BYTES_MAX = 64 * 1024;

type Socket = Bun.ServerWebSocket<SocketData>;

export interface SocketSessionOptions {
  readonly events: EventHub;
  readonly connections: Connections;
  readonly stallMs: number;
  /** Null when the caller may not see the job or there is none. */
  authorize(jobId: string): Promise<JobId | null>;
  /** Fixed: the one job this socket is about; it closes when that ends. */
  readonly fixed: { readonly jobId: JobId; readonly after: number } | null;
  /** What a client's message asks for; throws a sentence for the client. */
  parse(message: string | Buffer): ClientCommand;
  onError(error: unknown): void;
}

export type ClientCommand =
  | { readonly subscribe: string; readonly after: number }
  | { readonly unsubscribe: string }
  | { readonly error: string };

interface Session {
  subscribe(jobId: string, after: number): Promise<void>;
  unsubscribe(jobId: string): void;
  send(value: unknown): void;
  drained(): void;
  end(code: number, reason: string): void;
  closed(): void;
}

function texts(item: StreamItem): string[] {
  return item.kind === "progress" ? [toProgressText(item.progress)] : item.events.map(toEventText);
}

function makeSession(socket: Socket, options: SocketSessionOptions): Session {
  const streams = new Map<string, EventStream | null>();
  let open = true;
  let waiting: { promise: Promise<void>; resolve: () => void } | null = null;
  let stall: ReturnType<typeof setTimeout> | null = null;

  const end = (code: number, reason: string): void => {
    if (!open) return;
    socket.close(code, reason);
    closed();
  };

  /** Resolves when the socket has room; cuts it when that takes too long. */
  const room = async (): Promise<void> => {
    while (open && socket.getBufferedAmount() > BUFFERED_BYTES_MAX) {
      if (waiting === null) {
        waiting = Promise.withResolvers<void>();
        stall = setTimeout(() => {
          closed();
          socket.terminate();
        }, options.stallMs);
      }
      await waiting.promise;
    }
  };

  const drained = (): void => {
    if (stall !== null) clearTimeout(stall);
    stall = null;
    waiting?.resolve();
    waiting = null;
  };

  const closed = (): void => {
    open = false;
    for (const stream of streams.values()) stream?.close();
    streams.clear();
    drained();
    leave();
  };

  const pump = async (jobId: string, stream: EventStream): Promise<void> => {
    for (;;) {
      await room();
      const item = await stream.next();
      if (item === null || !open) break;
      for (const text of texts(item)) socket.send(text);
    }
    if (!open || streams.get(jobId) !== stream) return;
    streams.delete(jobId);
    stream.close();
    if (options.fixed !== null) end(CLOSE.normal, "the job has ended");
    else send({ type: "unsubscribed", job_id: jobId, reason: "the job has ended" });
  };

  const send = (value: unknown): void => {
    if (open) socket.send(JSON.stringify(value));
  };

  const subscribe = async (jobId: string, after: number): Promise<void> => {
    if (streams.has(jobId)) return send({ type: "error", job_id: jobId, message: "You follow this job already." });
    if (streams.size >= SUBSCRIPTIONS_MAX) {
      return send({ type: "error", message: `One socket follows at most ${SUBSCRIPTIONS_MAX} jobs.` });
    }
    // Holds the place while the job is looked up.
    streams.set(jobId, null);
    const known = await options.authorize(jobId);
    const stream = known === null ? null : await options.events.open(known, after);
    if (!open || !streams.has(jobId)) return stream?.close();
    if (stream === null) {
      streams.delete(jobId);
      return send({ type: "error", job_id: jobId, message: "There is no such job." });
    }
    streams.set(jobId, stream);
    if (options.fixed === null) send({ type: "subscribed", job_id: jobId, after: stream.cursor });
    pump(jobId, stream).catch((error: unknown) => {
      options.onError(error);
      end(CLOSE.internal, "an internal error occurred");
    });
  };

  const leave = options.connections.add({ close: () => end(CLOSE.goingAway, "the server is stopping") });

  return {
    subscribe,
    unsubscribe(jobId) {
      if (!streams.has(jobId)) return send({ type: "error", job_id: jobId, message: "You do not follow this job." });
      streams.get(jobId)?.close();
      streams.delete(jobId);
      send({ type: "unsubscribed", job_id: jobId, reason: "you asked" });
    },
    send,
    drained,
    end,
    closed,
  };
}

/** The handlers of one socket, made when it is upgraded. */
export function makeSocketData(options: SocketSessionOptions): SocketData {
  let session: Session | null = null;
  const guarded = (work: Promise<void>): void => {
    work.catch((error: unknown) => {
      options.onError(error);
      session?.end(CLOSE.internal, "an internal error occurred");
    });
  };
  return {
    open(socket) {
      session = makeSession(socket, options);
      if (options.fixed !== null) guarded(session.subscribe(options.fixed.jobId, options.fixed.after));
    },
    message(_socket, message) {
      if (session === null) return;
      const command = options.parse(message);
      if ("error" in command) session.send({ type: "error", message: command.error });
      else if (options.fixed !== null) session.send({ type: "error", message: "This socket takes no commands." });
      else if ("subscribe" in command) guarded(session.subscribe(command.subscribe, command.after));
      else session.unsubscribe(command.unsubscribe);
    },
    drain() {
      session?.drained();
    },
    close() {
      session?.closed();
    },
  };
}
