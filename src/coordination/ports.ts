/**
 * The coordination ports: what is happening right now, shared between replicas.
 *
 * None of this is the truth. Losing all of it at any instant costs latency, never a job, an output or an event; so no
 * method here may decide anything that a row in Postgres does not decide again. Adapters: memory/ (one process) and
 * redis/ (a cluster). One conformance suite per port in `test/contract/` runs against every adapter.
 */

export type PriorityClass = "high" | "normal" | "low";

/** A hint that a job may be claimed. SQL decides whether it really can. */
export interface ReadyHint {
  readonly jobId: string;
  readonly priority: PriorityClass;
  readonly rank: number;
}

export interface ReadyQueue {
  /** Adds hints; one already there is moved to its new class and rank. Idempotent. */
  add(hints: readonly ReadyHint[]): Promise<void>;
  /**
   * Takes and removes the first hint in the order (class as listed, rank, id); waits until there is one or the signal
   * aborts (then null). A hint taken is gone: the reconciler adds it again if its taker dies.
   */
  take(classes: readonly PriorityClass[], signal: AbortSignal): Promise<ReadyHint | null>;
  /**
   * Resolves when hints were added, here or in another replica, when the signal aborts, or after a while without either:
   * for those who cannot run every job and so look at the rows instead of taking hints from those who can.
   */
  added(signal: AbortSignal): Promise<void>;
  /** Removes a hint wherever it is. Idempotent. */
  remove(jobId: string): Promise<void>;
  depths(): Promise<Record<PriorityClass, number>>;
  close(): Promise<void>;
}

/** Named locks with a time to live, released only by their own value. Mirrors of leases: they never decide. */
export interface Locks {
  /** True when it was free or already had this value; sets its time to live. */
  acquire(name: string, value: string, ttlMs: number): Promise<boolean>;
  /** True when the lock still had this value; extends its time to live. */
  renew(name: string, value: string, ttlMs: number): Promise<boolean>;
  /** Frees it only if it has this value. Idempotent. */
  release(name: string, value: string): Promise<boolean>;
  holder(name: string): Promise<string | null>;
  close(): Promise<void>;
}

export interface LimitDecision {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds until the window is whole again. */
  readonly resetMs: number;
}

export interface Limiter {
  /** Counts one request against `name` in a fixed window of `windowMs`. */
  consume(name: string, limit: number, windowMs: number): Promise<LimitDecision>;
  close(): Promise<void>;
}

export type BusMessage = Readonly<Record<string, unknown>>;

/** Fire and forget, at most once, to every subscriber of a channel in every replica. */
export interface Bus {
  publish(channel: string, message: BusMessage): Promise<void>;
  /** Resolves when messages published from now on will arrive; the listener must not throw. Returns unsubscribe. */
  subscribe(channel: string, listener: (message: BusMessage) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Values that may vanish at any moment. */
export interface Cache {
  get(name: string): Promise<string | null>;
  set(name: string, value: string, ttlMs: number): Promise<void>;
  /** A record of texts instead of one, under a name of its own kind; null when it is not there. */
  getFields(name: string): Promise<Readonly<Record<string, string>> | null>;
  /** Replaces the whole record; at least one field. */
  setFields(name: string, fields: Readonly<Record<string, string>>, ttlMs: number): Promise<void>;
  delete(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface Coordination {
  readonly kind: "memory" | "redis";
  readonly readyQueue: ReadyQueue;
  readonly locks: Locks;
  readonly limiter: Limiter;
  readonly bus: Bus;
  readonly cache: Cache;
  /** Rejects when it does not answer; in one process there is nobody to ask. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Channel names, in one place. */
export const channels = {
  /** Durable and live events of one job: JobEvent or LiveProgress. */
  job: (jobId: string) => `events:${jobId}`,
  /** `{job_id}`: a cancel was recorded in the row; whoever runs it should look. */
  cancel: "cancel",
  /** `{tick}`: the tick that Postgres counts has moved on. */
  tick: "tick",
  /** `{job_id}`: a job was put back until its `run_at`; whoever wakes due jobs should look when that is. */
  due: "due",
  /** `{count}`: so many hints were added, or jobs put back without one; takers should look. */
  ready: "ready",
  /** `{key_id}`: a key was revoked or changed; drop it from caches. */
  keys: "keys",
  /** `{id}`: somebody wants to write this upload; whoever writes it should come to an end. */
  uploads: "uploads",
  /** `{}`: a webhook was stored; a courier should look. */
  webhooks: "webhooks",
  /** `{id, reply_to, method, argument}`: a probe or a plan is wanted from any worker. */
  media: "media",
  /** `{id, value}` or `{id, error}`: the answers to one replica. */
  mediaReply: (replica: string) => `media:${replica}`,
  /** `{id, reply_to}`: every replica is asked what lives in it. */
  actors: "actors",
  /** `{id, replica}`: the answers to one replica. */
  actorsReply: (replica: string) => `actors:${replica}`,
} as const;

export const names = {
  jobLock: (jobId: string) => `lock:job:${jobId}`,
  progress: (jobId: string) => `job:progress:${jobId}`,
  probe: (digest: string) => `probe:${digest}`,
  rateLimit: (keyId: string, endpoint: string) => `rate_limit:${keyId}:${endpoint}`,
} as const;
