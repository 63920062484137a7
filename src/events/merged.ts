/**
 * The events of several jobs as one stream. Each job's are in order; between jobs they come as they happen.
 *
 * Where a client is in all of them is one text, the number of each job's last event in the order of the jobs: what a
 * browser sends back as Last-Event-ID.
 */
import type { JobId } from "../jobs/types.ts";
import type { EventHub } from "./hub.ts";
import type { EventStream, StreamItem } from "./stream.ts";

export interface MergedItem {
  readonly item: StreamItem;
  /** The client's place when it has the event with this number, and everything before. */
  cursorAt(seq: number): string;
}

export interface MergedStream {
  /** Null when every job has ended and all was returned, or it was closed. One call at a time. */
  next(): Promise<MergedItem | null>;
  /** Every job has ended, and all of it was returned. */
  readonly ended: boolean;
  close(): void;
}

/** Null for what is no cursor over so many jobs. */
export function parseCursor(text: string, jobs: number): readonly number[] | null {
  if (!/^\d{1,15}(\.\d{1,15})*$/.test(text)) return null;
  const numbers = text.split(".").map(Number);
  return numbers.length === jobs ? numbers : null;
}

/** The events of these jobs, each after its number in `after`; where one cannot be followed, none is left open. */
export async function openMerged(
  hub: EventHub,
  jobIds: readonly JobId[],
  after: readonly number[],
): Promise<MergedStream> {
  const opening = await Promise.allSettled(jobIds.map((id, index) => hub.open(id, after[index] ?? 0)));
  const streams = opening.flatMap((one) => (one.status === "fulfilled" && one.value !== null ? [one.value] : []));
  const failed = opening.find((one) => one.status === "rejected");
  if (failed === undefined) return new Merged(streams);
  for (const stream of streams) stream.close();
  throw failed.reason;
}

interface Waiting {
  readonly index: number;
  readonly item: StreamItem;
  /** Lets the item's stream go on: only now, so that a slow reader costs one item for each job. */
  take(): void;
}

/** Takes over the streams, which are in the order of the jobs, and closes them. */
class Merged implements MergedStream {
  readonly #streams: readonly EventStream[];
  readonly #waiting: Waiting[] = [];
  /** What was returned, not what was fetched: a client resumes after the former. */
  readonly #cursors: number[];
  #left: number;
  #failure: unknown = null;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(streams: readonly EventStream[]) {
    this.#streams = streams;
    this.#left = streams.length;
    this.#cursors = streams.map(({ cursor }) => cursor);
    for (const [index, stream] of streams.entries()) void this.#pump(stream, index);
  }

  get ended(): boolean {
    return this.#waiting.length === 0 && this.#streams.every(({ ended }) => ended);
  }

  async next(): Promise<MergedItem | null> {
    for (;;) {
      if (this.#closed) return null;
      const waiting = this.#waiting.shift();
      if (waiting !== undefined) {
        waiting.take();
        return this.#placed(waiting);
      }
      if (this.#failure !== null) throw this.#failure;
      if (this.#left === 0) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#closed = true;
    for (const stream of this.#streams) stream.close();
    for (const { take } of this.#waiting) take();
    this.#signal();
  }

  /** Ends with its stream, and never rejects. */
  async #pump(stream: EventStream, index: number): Promise<void> {
    try {
      for (;;) {
        const item = await stream.next();
        if (item === null || this.#closed) return;
        const room = Promise.withResolvers<void>();
        this.#waiting.push({ index, item, take: room.resolve });
        this.#signal();
        await room.promise;
      }
    } catch (error) {
      this.#failure ??= error;
    } finally {
      this.#left -= 1;
      this.#signal();
    }
  }

  #placed({ index, item }: Waiting): MergedItem {
    const before = [...this.#cursors];
    const last = item.kind === "events" ? item.events.at(-1) : undefined;
    if (last !== undefined) this.#cursors[index] = last.seq;
    return { item, cursorAt: (seq) => before.map((one, at) => (at === index ? seq : one)).join(".") };
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
