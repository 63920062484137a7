/** One listener's cursor in a job's events. */
import type { JobEvent, LiveProgress } from "../jobs/types.ts";
import type { Topic, TopicListener } from "./topic.ts";

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
  return new TopicStream(topic, afterSeq, onClose);
}

/** A class, and its own listener: there are thousands of them, and closures would be most of what each one weighs. */
class TopicStream implements EventStream, TopicListener {
  readonly #topic: Topic;
  readonly #onClose: () => void;
  #cursor: number;
  #newest: LiveProgress | null = null;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(topic: Topic, afterSeq: number, onClose: () => void) {
    this.#topic = topic;
    this.#onClose = onClose;
    this.#cursor = Math.min(Math.max(0, afterSeq), topic.lastSeq);
    topic.listen(this);
  }

  get cursor(): number {
    return this.#cursor;
  }

  get ended(): boolean {
    return this.#topic.final && this.#cursor >= this.#topic.lastSeq;
  }

  async next(): Promise<StreamItem | null> {
    while (!this.#closed) {
      if (this.#cursor < this.#topic.lastSeq) {
        const events = await this.#topic.after(this.#cursor);
        const last = events.at(-1);
        // Nothing after the cursor although the row promised it: the job was deleted.
        if (last === undefined) return null;
        this.#cursor = last.seq;
        return this.#closed ? null : { kind: "events", events };
      }
      if (this.ended) return null;
      if (this.#newest !== null) {
        const progress = this.#newest;
        this.#newest = null;
        return { kind: "progress", progress };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return null;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#topic.leave(this);
    this.changed();
    this.#onClose();
  }

  changed(): void {
    this.#wake?.();
    this.#wake = null;
  }

  progress(newest: LiveProgress): void {
    this.#newest = newest;
    this.changed();
  }
}
