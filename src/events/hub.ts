/**
 * Who listens to which job in this process. Topics are shared and are closed when nobody listens.
 *
 * The bus delivers at most once, so every `pollMs` one statement looks whether any topic has fallen behind its row: a
 * lost message delays an event by that much, whatever the number of listeners.
 */
import type { Bus } from "../coordination/ports.ts";
import type { SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { listEvents } from "../jobs/store.ts";
import type { JobEvent, JobId, LiveProgress } from "../jobs/types.ts";
import { openTopic, type Topic, type TopicRows } from "./topic.ts";

const POLL_MS = 5_000;

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

export interface EventHub {
  /** Events after `afterSeq`; null when there is no such job. A number the job has not reached counts as its newest. */
  open(jobId: JobId, afterSeq: number): Promise<EventStream | null>;
  /** True when the job had its final event by then. */
  waitUntilFinal(jobId: JobId, timeoutMs: number): Promise<boolean>;
  readonly topics: number;
  /** Ends every stream. */
  close(): Promise<void>;
}

export interface EventHubOptions {
  readonly sql: SqlRunner;
  readonly bus: Bus;
  readonly pollMs?: number;
  onError(error: unknown): void;
}

interface HeadRow {
  id: JobId;
  log_seq: number;
  final: boolean;
}

const HEADS = `SELECT id, log_seq, status IN ('completed', 'failed', 'cancelled') AS final FROM jobs
  WHERE id = ANY ($1::uuid[])`;

function topicRows(sql: SqlRunner): TopicRows {
  return {
    async head(jobId) {
      const [row] = await sql.query<HeadRow>(HEADS, [[jobId]]);
      return row === undefined ? null : { logSeq: row.log_seq, final: row.final };
    },
    events: (jobId, afterSeq, limit) => listEvents(sql, { jobId, afterSeq, limit }),
  };
}

export function makeEventHub({ sql, bus, pollMs = POLL_MS, onError }: EventHubOptions): EventHub {
  const topics = new Map<JobId, Promise<Topic | null>>();
  const streams = new Set<EventStream>();
  const rows = topicRows(sql);
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | null = null;

  const look = async (): Promise<void> => {
    const open = (await Promise.allSettled(topics.values())).flatMap((result) =>
      result.status === "fulfilled" && result.value !== null ? [result.value] : [],
    );
    if (open.length === 0) return;
    const heads = await sql.query<HeadRow>(HEADS, [open.map((topic) => topic.jobId)]);
    const logSeqs = new Map(heads.map((row) => [row.id, row.log_seq]));
    for (const topic of open) if ((logSeqs.get(topic.jobId) ?? 0) > topic.lastSeq) topic.refresh();
  };

  /** Runs only while somebody listens. */
  const schedule = (): void => {
    if (timer !== null || closed || topics.size === 0) return;
    timer = setTimeout(async () => {
      await look().catch(onError);
      timer = null;
      schedule();
    }, pollMs);
    timer.unref?.();
  };

  const topicOf = (jobId: JobId): Promise<Topic | null> => {
    let topic = topics.get(jobId);
    if (topic === undefined) {
      topic = openTopic({ jobId, bus, rows, onError });
      topics.set(jobId, topic);
      const forget = (): void => void topics.delete(jobId);
      topic.then((opened) => opened === null && forget(), forget);
      schedule();
    }
    return topic;
  };

  const leave = (topic: Topic): void => {
    if (topic.listeners > 0) return;
    topics.delete(topic.jobId);
    topic.close().catch(onError);
  };

  /** The last listener may leave while a new one waits for the topic: then that topic closes, and a new one is opened. */
  const liveTopic = async (jobId: JobId): Promise<Topic | null> => {
    for (;;) {
      const pending = topicOf(jobId);
      const topic = await pending;
      if (topic === null || topics.get(jobId) === pending) return topic;
    }
  };

  const open = async (jobId: JobId, afterSeq: number): Promise<EventStream | null> => {
    if (closed) throw new RendiffError({ kind: "service.unavailable", publicMessage: "The service is stopping." });
    const joined = await liveTopic(jobId);
    if (joined === null) return null;
    const stream = joinTopic(joined, afterSeq, () => {
      streams.delete(stream);
      leave(joined);
    });
    streams.add(stream);
    return stream;
  };

  return {
    open,
    async waitUntilFinal(jobId, timeoutMs) {
      const stream = await open(jobId, Number.MAX_SAFE_INTEGER);
      if (stream === null) return false;
      const timeout = setTimeout(() => stream.close(), timeoutMs);
      try {
        while ((await stream.next()) !== null) {
          // Each item only moves the cursor; the end is what counts.
        }
        return stream.ended;
      } finally {
        clearTimeout(timeout);
        stream.close();
      }
    },
    get topics() {
      return topics.size;
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const stream of [...streams]) stream.close();
      await Promise.allSettled(topics.values());
    },
  };
}

function joinTopic(topic: Topic, afterSeq: number, onClose: () => void): EventStream {
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
