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
import type { JobId } from "../jobs/types.ts";
import { type EventStream, joinTopic } from "./stream.ts";
import { openTopic, type Topic, type TopicRows } from "./topic.ts";

export type { EventStream, StreamItem } from "./stream.ts";

const POLL_MS = 5_000;

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

export function makeEventHub(options: EventHubOptions): EventHub {
  return new Hub(options);
}

class Hub implements EventHub {
  readonly #options: EventHubOptions;
  readonly #rows: TopicRows;
  readonly #topics = new Map<JobId, Promise<Topic | null>>();
  readonly #streams = new Set<EventStream>();
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: EventHubOptions) {
    this.#options = options;
    this.#rows = topicRows(options.sql);
  }

  get topics(): number {
    return this.#topics.size;
  }

  async open(jobId: JobId, afterSeq: number): Promise<EventStream | null> {
    if (this.#closed) {
      throw new RendiffError({ kind: "service.unavailable", publicMessage: "The service is stopping." });
    }
    const topic = await this.#liveTopic(jobId);
    if (topic === null) return null;
    const stream = joinTopic(topic, afterSeq, () => {
      this.#streams.delete(stream);
      this.#leave(topic);
    });
    this.#streams.add(stream);
    // A close of the hub may have passed while the topic was opened.
    if (this.#closed) stream.close();
    return stream;
  }

  async waitUntilFinal(jobId: JobId, timeoutMs: number): Promise<boolean> {
    const stream = await this.open(jobId, Number.MAX_SAFE_INTEGER);
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
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const stream of [...this.#streams]) stream.close();
    await Promise.allSettled(this.#topics.values());
  }

  /** The last listener may leave while a new one waits for the topic: then that topic closes, and a new one is opened. */
  async #liveTopic(jobId: JobId): Promise<Topic | null> {
    for (;;) {
      const pending = this.#topicOf(jobId);
      const topic = await pending;
      if (topic === null || this.#topics.get(jobId) === pending) return topic;
    }
  }

  #topicOf(jobId: JobId): Promise<Topic | null> {
    const known = this.#topics.get(jobId);
    if (known !== undefined) return known;
    const { bus, onError } = this.#options;
    const topic = openTopic({ jobId, bus, rows: this.#rows, onError });
    this.#topics.set(jobId, topic);
    const forget = (): void => void this.#topics.delete(jobId);
    topic.then((opened) => opened === null && forget(), forget);
    this.#schedule();
    return topic;
  }

  #leave(topic: Topic): void {
    if (topic.listeners > 0) return;
    this.#topics.delete(topic.jobId);
    topic.close().catch(this.#options.onError);
  }

  /** Runs only while somebody listens. */
  #schedule(): void {
    if (this.#timer !== null || this.#closed || this.#topics.size === 0) return;
    this.#timer = setTimeout(async () => {
      await this.#look().catch(this.#options.onError);
      this.#timer = null;
      this.#schedule();
    }, this.#options.pollMs ?? POLL_MS);
    this.#timer.unref?.();
  }

  async #look(): Promise<void> {
    const settled = await Promise.allSettled(this.#topics.values());
    const open = settled.flatMap((result) =>
      result.status === "fulfilled" && result.value !== null ? [result.value] : [],
    );
    if (open.length === 0) return;
    const heads = await this.#options.sql.query<HeadRow>(HEADS, [open.map((topic) => topic.jobId)]);
    const logSeqs = new Map(heads.map((row) => [row.id, row.log_seq]));
    for (const topic of open) if ((logSeqs.get(topic.jobId) ?? 0) > topic.lastSeq) topic.refresh();
  }
}
