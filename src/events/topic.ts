/**
 * One job's events in this process, shared by everybody who listens to it.
 *
 * The rows are the truth and the bus only says "look again": for each change a topic reads the new events once, whoever
 * many listen, and keeps the last of them. A listener is a cursor. Its next event is the one after the cursor, taken from
 * what the topic keeps when it is there (live) and from the rows when it is older (backfill); going from one to the
 * other needs no hand-over, and an event can be neither missed nor repeated.
 */
import { type Bus, type BusMessage, channels } from "../coordination/ports.ts";
import type { JobEvent, JobId, LiveProgress } from "../jobs/types.ts";
import { isFinalEvent, parseLiveProgress } from "./messages.ts";

/** Shared, so it is memory per job, not per listener. */
const KEPT_EVENTS_MAX = 256;
const PAGE_SIZE = 500;

export interface TopicRows {
  /** Null when there is no such job. */
  head(jobId: JobId): Promise<{ readonly logSeq: number; readonly final: boolean } | null>;
  events(jobId: JobId, afterSeq: number, limit: number): Promise<readonly JobEvent[]>;
}

export interface Topic {
  readonly jobId: JobId;
  /** The number of the newest event known here. */
  readonly lastSeq: number;
  /** No further event of the job's own will come after `lastSeq`. */
  readonly final: boolean;
  /** At least one event after `cursor` (the topic knows of more); from memory when it has it. */
  after(cursor: number): Promise<readonly JobEvent[]>;
  /** Reads what is new in the rows; calls during a read are answered by one more read. */
  refresh(): void;
  listen(listener: TopicListener): () => void;
  readonly listeners: number;
  close(): Promise<void>;
}

export interface TopicListener {
  changed(): void;
  progress(progress: LiveProgress): void;
}

export interface TopicOptions {
  readonly jobId: JobId;
  readonly bus: Bus;
  readonly rows: TopicRows;
  onError(error: unknown): void;
}

/** Null when there is no such job. Subscribes before it reads, so that nothing falls between the two. */
export async function openTopic({ jobId, bus, rows, onError }: TopicOptions): Promise<Topic | null> {
  const listeners = new Set<TopicListener>();
  const kept: JobEvent[] = [];
  let lastSeq = 0;
  let final = false;
  let ready = false;
  let closed = false;
  let reading = false;
  let again = false;

  const append = (events: readonly JobEvent[]): void => {
    for (const event of events) {
      if (event.seq !== lastSeq + 1) continue;
      kept.push(event);
      lastSeq = event.seq;
      final ||= isFinalEvent(event);
    }
    kept.splice(0, Math.max(0, kept.length - KEPT_EVENTS_MAX));
    for (const listener of listeners) listener.changed();
  };

  const readOnce = async (): Promise<void> => {
    for (;;) {
      const events = await rows.events(jobId, lastSeq, PAGE_SIZE);
      if (events.length > 0) append(events);
      if (events.length < PAGE_SIZE) return;
    }
  };

  const refresh = (): void => {
    again = true;
    if (reading || !ready || closed) return;
    reading = true;
    void (async () => {
      try {
        while (again && !closed) {
          again = false;
          await readOnce();
        }
      } catch (error) {
        // The next change or the hub's regular look tries again.
        onError(error);
      } finally {
        reading = false;
      }
    })();
  };

  const receive = (message: BusMessage): void => {
    const progress = parseLiveProgress(jobId, message);
    if (progress === null) refresh();
    else for (const listener of listeners) listener.progress(progress);
  };

  const unsubscribe = await bus.subscribe(channels.job(jobId), receive);
  const head = await rows.head(jobId).catch(async (error: unknown) => {
    await unsubscribe();
    throw error;
  });
  if (head === null) {
    await unsubscribe();
    return null;
  }
  lastSeq = head.logSeq;
  final = head.final;
  ready = true;
  if (again) refresh();

  return {
    jobId,
    get lastSeq() {
      return lastSeq;
    },
    get final() {
      return final;
    },
    get listeners() {
      return listeners.size;
    },
    async after(cursor) {
      const [oldest] = kept;
      if (oldest !== undefined && oldest.seq <= cursor + 1) return kept.slice(cursor + 1 - oldest.seq);
      return rows.events(jobId, cursor, PAGE_SIZE);
    },
    refresh,
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closed = true;
      await unsubscribe();
    },
  };
}
