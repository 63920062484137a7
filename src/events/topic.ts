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
/** What one listener holds while its client takes it, so it is memory per listener that is behind. */
const BACKFILL_SIZE = 50;

export interface TopicRows {
  /** Null when there is no such job. */
  head(jobId: JobId): Promise<{ readonly logSeq: number; readonly final: boolean } | null>;
  events(jobId: JobId, afterSeq: number, limit: number): Promise<readonly JobEvent[]>;
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
export async function openTopic(options: TopicOptions): Promise<Topic | null> {
  const topic = new Topic(options);
  return (await topic.open()) ? topic : null;
}

export class Topic {
  readonly jobId: JobId;
  /** The number of the newest event known here. */
  lastSeq = 0;
  /** No further event of the job's own will come after `lastSeq`. */
  final = false;
  readonly #options: TopicOptions;
  readonly #listeners = new Set<TopicListener>();
  /** The newest events, without gaps, the last one being `lastSeq`. */
  readonly #kept: JobEvent[] = [];
  #state: "opening" | "open" | "closed" = "opening";
  #reading = false;
  #readAgain = false;
  #unsubscribe: () => Promise<void> = async () => undefined;

  constructor(options: TopicOptions) {
    this.#options = options;
    this.jobId = options.jobId;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** False when there is no such job; then, and when it rejects, nothing is left subscribed. */
  async open(): Promise<boolean> {
    const { bus, rows } = this.#options;
    this.#unsubscribe = await bus.subscribe(channels.job(this.jobId), (message) => this.#receive(message));
    const head = await rows.head(this.jobId).catch(async (error: unknown) => {
      await this.#unsubscribe();
      throw error;
    });
    if (head === null) {
      await this.#unsubscribe();
      return false;
    }
    this.lastSeq = head.logSeq;
    this.final = head.final;
    this.#state = "open";
    if (this.#readAgain) this.refresh();
    return true;
  }

  /** At least one event after `cursor` (the topic knows of more); from memory when it has it. */
  async after(cursor: number): Promise<readonly JobEvent[]> {
    const [oldest] = this.#kept;
    if (oldest !== undefined && oldest.seq <= cursor + 1) return this.#kept.slice(cursor + 1 - oldest.seq);
    return this.#options.rows.events(this.jobId, cursor, BACKFILL_SIZE);
  }

  /** Reads what is new in the rows; calls during a read are answered by one more read. */
  refresh(): void {
    this.#readAgain = true;
    if (!this.#reading && this.#state === "open") void this.#read();
  }

  listen(listener: TopicListener): void {
    this.#listeners.add(listener);
  }

  leave(listener: TopicListener): void {
    this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#state = "closed";
    await this.#unsubscribe();
  }

  #receive(message: BusMessage): void {
    const progress = parseLiveProgress(this.jobId, message);
    if (progress === null) this.refresh();
    else for (const listener of this.#listeners) listener.progress(progress);
  }

  async #read(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#readAgain && this.#state === "open") {
        this.#readAgain = false;
        await this.#readToTheEnd();
      }
    } catch (error) {
      // The next change or the hub's regular look tries again.
      this.#options.onError(error);
    } finally {
      this.#reading = false;
    }
  }

  async #readToTheEnd(): Promise<void> {
    for (;;) {
      const events = await this.#options.rows.events(this.jobId, this.lastSeq, PAGE_SIZE);
      if (events.length > 0) this.#append(events);
      if (events.length < PAGE_SIZE) return;
    }
  }

  #append(events: readonly JobEvent[]): void {
    for (const event of events) {
      if (event.seq !== this.lastSeq + 1) continue;
      this.#kept.push(event);
      this.lastSeq = event.seq;
      this.final ||= isFinalEvent(event);
    }
    this.#kept.splice(0, Math.max(0, this.#kept.length - KEPT_EVENTS_MAX));
    for (const listener of this.#listeners) listener.changed();
  }
}
