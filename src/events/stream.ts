/** One listener's cursor in a job's events. */
import type { JobEvent, LiveProgress } from "../jobs/types.ts";
import type { Topic } from "./topic.ts";

export type StreamItem =
  | { readonly kind: "events"; readonly events: readonly JobEvent[] }
  | { readonly kind: "progress"; readonly progress: LiveProgress };

export interface EventStream {
  /**
   * The next events or the newest progress; null at the end: after the final event, or closed. One call at a time. What
   * a slow reader did not fetch is not kept for it: durable events are read again, progress is the newest only.
   */
  next(): Promise<StreamItem | null>;
  /** The number of the last event returned. */
  readonly cursor: number;
  /** True once the final event has been returned. */
  readonly ended: boolean;
  /** Idempotent; a waiting `next` returns null. */
  close(): void;
}

/** Starts after `afterSeq`, or at the newest event when the job has not reached that number. */
export function joinTopic(topic: Topic, afterSeq: number, onClose: () => void): EventStream {
  let cursor = Math.min(Math.max(0, afterSeq), topic.lastSeq);
  let progress: LiveProgress | null = null;
  let closed = false;
  let wake: (() => void) | null = null;
  const signal = (): void => {
    wake?.();
    wake = null;
  };
  const stop = topic.listen({
    changed: signal,
    progress(newest) {
      progress = newest;
      signal();
    },
  });
  const ended = (): boolean => topic.final && cursor >= topic.lastSeq;

  return {
    get cursor() {
      return cursor;
    },
    get ended() {
      return ended();
    },
    async next() {
      while (!closed) {
        if (cursor < topic.lastSeq) {
          const events = await topic.after(cursor);
          const last = events.at(-1);
          // Nothing after the cursor although the row promised it: the job was deleted.
          if (last === undefined) return null;
          cursor = last.seq;
          return closed ? null : { kind: "events", events };
        }
        if (ended()) return null;
        if (progress !== null) {
          const newest = progress;
          progress = null;
          return { kind: "progress", progress: newest };
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return null;
    },
    close() {
      if (closed) return;
      closed = true;
      stop();
      signal();
      onClose();
    },
  };
}
