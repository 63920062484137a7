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
import type { JobId, KeyId } from "../../src/jobs/types.ts";
import type { Connections } from "../connections.ts";
import type { SocketData } from "../peers.ts";

/** RFC 6455 §7.4.1. */
export const CLOSE = { normal: 1000, goingAway: 1001, forbidden: 1008, internal: 1011 } as const;

/** A socket that does not drain for so long is cut. */
export const SOCKET_STALL_MS = 60_000;

const SUBSCRIPTIONS_MAX = 200;
/** More unsent bytes than this, and nothing further is read for the socket. */
const BUFFERED_BYTES_MAX = 16 * 1024;

type Socket = Bun.ServerWebSocket<SocketData>;

export interface SocketSessionOptions {
  readonly events: EventHub;
  readonly connections: Connections;
  readonly keyId: KeyId;
  /** When what the client came with ends. */
  readonly expiresAt: Date | null;
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

function texts(item: StreamItem): string[] {
  return item.kind === "progress" ? [toProgressText(item.progress)] : item.events.map(toEventText);
}

/** Its own handlers: there are thousands of them, and closures would be most of what each one weighs. */
class Session implements SocketData {
  #socket: Socket | null = null;
  readonly #options: SocketSessionOptions;
  /** Null holds a place while its job is looked up. */
  readonly #streams = new Map<string, EventStream | null>();
  #leave: (() => void) | null = null;
  #lastLook: Promise<void> = Promise.resolve();
  #open = true;
  #full: PromiseWithResolvers<void> | null = null;
  #stall: ReturnType<typeof setTimeout> | null = null;

  constructor(options: SocketSessionOptions) {
    this.#options = options;
  }

  open(socket: Socket): void {
    this.#socket = socket;
    const options = this.#options;
    this.#leave = options.connections.add({
      ...{ keyId: options.keyId, expiresAt: options.expiresAt },
      close: (why) => {
        if (why === "stopping") this.#end(CLOSE.goingAway, "the server is stopping");
        else this.#end(CLOSE.forbidden, why === "revoked" ? "the key was revoked" : "the key or token has expired");
      },
    });
    if (options.fixed !== null) this.#guard(this.#subscribe(options.fixed.jobId, options.fixed.after));
  }

  message(_socket: Socket, message: string | Buffer): void {
    const command = this.#options.parse(message);
    if ("error" in command) this.#send({ type: "error", message: command.error });
    else if (this.#options.fixed !== null) this.#send({ type: "error", message: "This socket takes no commands." });
    else if ("subscribe" in command) this.#guard(this.#subscribe(command.subscribe, command.after));
    else this.#unsubscribe(command.unsubscribe);
  }

  drain(): void {
    if (this.#stall !== null) clearTimeout(this.#stall);
    this.#stall = null;
    this.#full?.resolve();
    this.#full = null;
  }

  close(): void {
    this.#open = false;
    for (const stream of this.#streams.values()) stream?.close();
    this.#streams.clear();
    this.drain();
    this.#leave?.();
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#options.onError(error);
      this.#end(CLOSE.internal, "an internal error occurred");
    });
  }

  async #subscribe(jobId: string, after: number): Promise<void> {
    if (this.#streams.has(jobId)) return this.#refuse("You follow this job already.", jobId);
    if (this.#streams.size >= SUBSCRIPTIONS_MAX) {
      return this.#refuse(`One socket follows at most ${SUBSCRIPTIONS_MAX} jobs.`, jobId);
    }
    this.#streams.set(jobId, null);
    const stream = await this.#inTurn(() => this.#look(jobId, after));
    if (!this.#open || !this.#streams.has(jobId)) return stream?.close();
    if (stream === null) {
      this.#streams.delete(jobId);
      return this.#refuse("There is no such job.", jobId);
    }
    this.#streams.set(jobId, stream);
    if (this.#options.fixed === null) this.#send({ type: "subscribed", job_id: jobId, after: stream.cursor });
    // Not waited for: this call ends now, and would weigh as much as the stream for as long as that lasts.
    this.#guard(this.#pump(jobId, stream));
  }

  async #look(jobId: string, after: number): Promise<EventStream | null> {
    if (!this.#open || !this.#streams.has(jobId)) return null;
    const known = await this.#options.authorize(jobId);
    return known === null ? null : await this.#options.events.open(known, after);
  }

  /** Each look costs a question to the database: a client that asks for hundreds at once waits, and others do not. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastLook.then(work);
    this.#lastLook = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  #unsubscribe(jobId: string): void {
    if (!this.#streams.has(jobId)) {
      this.#refuse("You do not follow this job.", jobId);
      return;
    }
    this.#streams.get(jobId)?.close();
    this.#streams.delete(jobId);
    this.#send({ type: "unsubscribed", job_id: jobId, reason: "you asked" });
  }

  #send(value: unknown): void {
    if (this.#open) this.#socket?.send(JSON.stringify(value));
  }

  #end(code: number, reason: string): void {
    if (!this.#open) return;
    this.#socket?.close(code, reason);
    this.close();
  }

  #refuse(message: string, jobId: string): void {
    this.#send({ type: "error", job_id: jobId, message });
  }

  async #pump(jobId: string, stream: EventStream): Promise<void> {
    for (;;) {
      await this.#room();
      const item = await stream.next();
      if (item === null || !this.#open) break;
      for (const text of texts(item)) {
        // A promise for each of thousands of messages would be most of what they cost.
        if (this.#isFull()) await this.#room();
        if (this.#open) this.#socket?.send(text);
      }
    }
    if (!this.#open || this.#streams.get(jobId) !== stream) return;
    this.#streams.delete(jobId);
    stream.close();
    if (this.#options.fixed !== null) this.#end(CLOSE.normal, "the job has ended");
    else this.#send({ type: "unsubscribed", job_id: jobId, reason: "the job has ended" });
  }

  #isFull(): boolean {
    return this.#open && (this.#socket?.getBufferedAmount() ?? 0) > BUFFERED_BYTES_MAX;
  }

  /** Resolves when the socket has room; cuts it when that takes too long. */
  async #room(): Promise<void> {
    while (this.#isFull()) {
      if (this.#full === null) {
        this.#full = Promise.withResolvers();
        this.#stall = setTimeout(() => {
          this.close();
          this.#socket?.terminate();
        }, this.#options.stallMs);
      }
      await this.#full.promise;
    }
  }
}

/** The handlers of one socket, made when it is upgraded. */
export const makeSocketData = (options: SocketSessionOptions): SocketData => new Session(options);
