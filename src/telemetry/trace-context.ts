/**
 * Where a span belongs: W3C Trace Context (https://www.w3.org/TR/trace-context/), as it stands in `traceparent` headers and
 * in a job's row.
 *
 * The spans of jobs, attempts and deliveries have ids that follow from their own: whoever meets a job knows its span without
 * asking, so that no replica has to tell another and no row has to keep more than the request's `traceparent`.
 */
import type { JobId } from "../jobs/types.ts";

export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** Null for the first span of a trace. */
  readonly parentSpanId: string | null;
}

/** Later versions may have more fields behind these. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** Null for what is no valid `traceparent`, which is then ignored as the recommendation says. */
export function parseTraceparent(text: string | null): TraceContext | null {
  if (text === null) return null;
  const [, version, traceId = "", spanId = "", flags = "", more] = TRACEPARENT.exec(text.trim()) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return null;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1, parentSpanId: null };
}

export const toTraceparent = ({ traceId, spanId, sampled }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;

/** A span below another, of the same trace. */
export const childOf = (parent: TraceContext, spanId: string): TraceContext => ({
  ...parent,
  spanId,
  parentSpanId: parent.spanId,
});

/** 16 hex digits from a name that nothing else in the trace has. */
export const spanIdOf = (name: string): string => (BigInt(Bun.hash.wyhash(name)) || 1n).toString(16).padStart(16, "0");

/** Of a job, below the request that made it. Null when there was no trace. */
export function jobTrace({ id, traceparent }: TracedJob): TraceContext | null {
  const request = parseTraceparent(traceparent);
  return request === null ? null : childOf(request, spanIdOf(`job ${id}`));
}

/** What every span of a job is found by. */
export interface TracedJob {
  readonly id: JobId;
  /** Of the request that made it, as the row keeps it. */
  readonly traceparent: string | null;
}
