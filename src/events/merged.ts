/**
 * The events of several jobs as one stream. Each job's are in order; between jobs they come as they happen.
 *
 * Where a client is in all of them is one text, the number of each job's last event in the order of the jobs: what a
 * browser sends back as Last-Event-ID.
 */
import type { JobId } from "../jobs/types.ts";
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

/** Takes over the streams, which are in the order of the jobs, and closes them. */
export function mergeStreams(streams: readonly EventStream[]): MergedStream {
  const waiting: StreamItem[] = [];
  let left = streams.length;
  let failure: unknown = null;
  let closed = false;
  let wake: (() => void) | null = null;
  /** Each stream goes on only when its item was taken, so a slow reader costs a cursor per job. */
  let taken: (() => void)[] = [];
  const signal = (): void => {
    wake?.();
    wake = null;
  };
  // What was returned, not what was fetched: a client resumes after the former.
  const cursors = streams.map(({ cursor }) => cursor);
  const indexOf = new Map<JobId, number>();

  async function pump(stream: EventStream, index: number): Promise<void> {
    for (;;) {
      const item = await stream.next();
      if (item === null || closed) return;
      indexOf.set(item.kind === "events" ? (item.events[0]?.jobId as JobId) : item.progress.jobId, index);
      const room = new Promise<void>((resolve) => taken.push(resolve));
      waiting.push(item);
      signal();
      await room;
    }
  }
  for (const [index, stream] of streams.entries()) {
    pump(stream, index)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        left -= 1;
        signal();
      });
  }

  /** Notes what is returned. */
  function placed(item: StreamItem): MergedItem {
    const before = [...cursors];
    const last = item.kind === "events" ? item.events.at(-1) : undefined;
    const index = last === undefined ? undefined : indexOf.get(last.jobId);
    if (last !== undefined && index !== undefined) cursors[index] = last.seq;
    return { item, cursorAt: (seq) => before.map((one, at) => (at === index ? seq : one)).join(".") };
  }

  return {
    get ended() {
      return waiting.length === 0 && streams.every(({ ended }) => ended);
    },
    async next() {
      for (;;) {
        if (closed) return null;
        const item = waiting.shift();
        if (item !== undefined) {
          taken.shift()?.();
          return placed(item);
        }
        if (failure !== null) throw failure;
        if (left === 0) return null;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close() {
      closed = true;
      for (const stream of streams) stream.close();
      for (const resolve of taken) resolve();
      taken = [];
      signal();
    },
  };
}
