/**
 * Traces: one function per business event, so that the names and attributes of spans are decided here and nowhere else.
 *
 *   request ▶ job ▶ attempt ▶ stage
 *               └──▶ webhook
 *
 * A span is handed over when it has ended, by whoever saw its end: the process that ran a stage, the one that ended a job.
 * Without a collector nothing is recorded, and what a client sent as `traceparent` is passed on as it came.
 */
import type { Claim, Job, JobStatus, JobType } from "../jobs/types.ts";
import {
  childOf,
  jobTrace,
  parseTraceparent,
  spanIdOf,
  type TraceContext,
  type TracedJob,
  toTraceparent,
} from "./trace-context.ts";

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface FinishedSpan {
  readonly name: string;
  readonly kind: "server" | "internal" | "client" | "consumer";
  readonly context: TraceContext;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Absent ones are left out. */
  readonly attributes: Readonly<Record<string, SpanAttributes[string] | null>>;
  /** The kind of error it ended with; null for none. */
  readonly error: string | null;
}

export interface SpanSink {
  /** Never throws and never waits. */
  emit(span: FinishedSpan): void;
  /** Sends what is left, for a few seconds at most. */
  close(): Promise<void>;
}

export interface EndedJob extends TracedJob {
  readonly type: JobType;
  readonly createdAt: Date;
}

export interface SentWebhook {
  readonly id: string;
  readonly event: string;
  /** Null: a batch's, which belongs to no one job. */
  readonly jobId: Job["id"] | null;
  readonly traceparent: string | null;
  readonly attempt: number;
}

export interface Tracer {
  /** A request has come; null when it has no trace, neither its own nor ours. */
  requestBegan(traceparent: string | null): TraceContext | null;
  /** `route` is a rule's id, `status` the answer's. */
  requestEnded(event: {
    readonly trace: TraceContext | null;
    readonly startedAtMs: number;
    readonly method: string;
    readonly route: string;
    readonly path: string;
    readonly status: number;
    readonly requestId: string;
  }): void;
  stageEnded(event: {
    readonly claim: Claim;
    readonly stage: string;
    readonly startedAtMs: number;
    readonly error: string | null;
  }): void;
  attemptEnded(event: { readonly claim: Claim; readonly outcome: string; readonly error: string | null }): void;
  jobEnded(event: {
    readonly job: EndedJob;
    readonly status: JobStatus;
    /** The kind of error that it failed with; null for none. */
    readonly error: string | null;
  }): void;
  /** What goes with a webhook as `traceparent`. */
  webhookTraceparent(webhook: SentWebhook): string | null;
  webhookSent(event: {
    readonly webhook: SentWebhook;
    readonly startedAtMs: number;
    readonly status: number | null;
    readonly outcome: string;
  }): void;
  close(): Promise<void>;
}

export interface TracerOptions {
  /** Null: nothing is recorded. */
  readonly sink: SpanSink | null;
  /** Whether a trace is recorded that begins here, or whatever its parent says. */
  readonly samples?: Sampler;
}

export type Sampler = (parent: TraceContext | null, traceId: string) => boolean;

const hex = (bytes: number): string => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");

/** As `parentbased_always_on`. */
const parentOrAlways: Sampler = (parent) => parent?.sampled ?? true;

export const nowMs = (): number => performance.timeOrigin + performance.now();

export function makeTracer({ sink, samples = parentOrAlways }: TracerOptions): Tracer {
  const emit = (context: TraceContext | null, span: Omit<FinishedSpan, "context" | "endedAtMs">): void => {
    if (sink !== null && context?.sampled === true) sink.emit({ ...span, context, endedAtMs: nowMs() });
  };
  return {
    requestBegan(traceparent) {
      const parent = parseTraceparent(traceparent);
      if (sink === null) return parent;
      const traceId = parent?.traceId ?? hex(16);
      return { traceId, spanId: hex(8), sampled: samples(parent, traceId), parentSpanId: parent?.spanId ?? null };
    },
    requestEnded({ trace, startedAtMs, method, route, path, status, requestId }) {
      emit(trace, {
        ...{ name: path === "" ? method : `${method} ${path}`, kind: "server", startedAtMs },
        attributes: {
          "http.request.method": method,
          "http.route": path === "" ? null : path,
          "http.response.status_code": status,
          "rendiff.route": route,
          "rendiff.request.id": requestId,
        },
        // RFC 9110: what the client did wrong is not this server's error.
        error: status >= 500 ? String(status) : null,
      });
    },
    ...makeJobSpans(emit),
    webhookTraceparent(webhook) {
      if (sink === null) return webhook.traceparent;
      const trace = webhookTrace(webhook);
      return trace === null ? null : toTraceparent(trace);
    },
    webhookSent({ webhook, startedAtMs, status, outcome }) {
      emit(webhookTrace(webhook), {
        ...{ name: `webhook ${webhook.event}`, kind: "client", startedAtMs },
        attributes: {
          "http.request.method": "POST",
          "http.response.status_code": status,
          "rendiff.webhook.id": webhook.id,
          "rendiff.webhook.attempt": webhook.attempt,
          "rendiff.webhook.outcome": outcome,
          "rendiff.job.id": webhook.jobId,
        },
        error: outcome === "delivered" ? null : outcome,
      });
    },
    close: async () => await sink?.close(),
  };
}

function makeJobSpans(emit: (context: TraceContext | null, span: Omit<FinishedSpan, "context" | "endedAtMs">) => void) {
  return {
    stageEnded({ claim, stage, startedAtMs, error }) {
      const attempt = attemptTrace(claim);
      if (attempt?.sampled !== true) return;
      emit(childOf(attempt, hex(8)), {
        ...{ name: stage, kind: "internal", startedAtMs, error },
        attributes: ofClaim(claim),
      });
    },
    attemptEnded({ claim, outcome, error }) {
      emit(attemptTrace(claim), {
        // The claim's own time, in the database's clock, as the job's is.
        ...{ name: "attempt", kind: "consumer", startedAtMs: claim.job.updatedAt.getTime(), error },
        attributes: {
          ...ofClaim(claim),
          "rendiff.worker.id": claim.lease.workerId,
          "rendiff.attempt.outcome": outcome,
        },
      });
    },
    jobEnded({ job, status, error }) {
      emit(jobTrace(job), {
        ...{ name: `job ${job.type}`, kind: "internal", startedAtMs: job.createdAt.getTime(), error },
        attributes: { "rendiff.job.id": job.id, "rendiff.job.type": job.type, "rendiff.job.status": status },
      });
    },
  } satisfies Partial<Tracer>;
}

function attemptTrace({ job, lease }: Claim): TraceContext | null {
  const trace = jobTrace(job);
  return trace === null ? null : childOf(trace, spanIdOf(`attempt ${job.id} ${lease.leaseToken}`));
}

function webhookTrace({ id, jobId, traceparent, attempt }: SentWebhook): TraceContext | null {
  if (jobId === null) return null;
  const trace = jobTrace({ id: jobId, traceparent });
  return trace === null ? null : childOf(trace, spanIdOf(`webhook ${id} ${attempt}`));
}

const ofClaim = ({ job, lease }: Claim): SpanAttributes => ({
  "rendiff.job.id": job.id,
  "rendiff.job.type": job.type,
  "rendiff.attempt.number": job.attempt,
  "rendiff.lease.token": lease.leaseToken,
});
