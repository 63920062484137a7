/**
 * Sends spans to an OpenTelemetry collector, in batches and in the background. Loaded only where one is configured: the SDK
 * costs a start time and memory that nobody else should pay for.
 *
 * The SDK's own spans are left aside: ours begin in one process and end in another, which it has no way to say.
 */
import { DiagLogLevel, diag, type HrTime, SpanKind, SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { CompressionAlgorithm } from "@opentelemetry/otlp-exporter-base";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan } from "@opentelemetry/sdk-trace";
import type { TracesConfig } from "../config/config.ts";
import type { Logger } from "./logger.ts";
import type { FinishedSpan, SpanSink } from "./tracer.ts";

const CLOSE_MS_MAX = 3_000;
/** A collector that is away would otherwise say so every few seconds. */
const COMPLAIN_EVERY_MS = 60_000;
const DELAY_MS = 1_000;
const REASON_LENGTH_MAX = 500;

const KINDS = {
  server: SpanKind.SERVER,
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
} as const;

const toHrTime = (ms: number): HrTime => {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
};

function toReadable(span: FinishedSpan, resource: Resource, version: string): ReadableSpan {
  const { traceId, spanId, parentSpanId } = span.context;
  // Clocks of two machines may disagree, and no span is shorter than nothing.
  const endedAtMs = Math.max(span.startedAtMs, span.endedAtMs);
  const known = Object.entries(span.attributes).filter(([, value]) => value !== null) as [string, string | number][];
  return {
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED }),
    ...(parentSpanId === null
      ? {}
      : { parentSpanContext: { traceId, spanId: parentSpanId, traceFlags: TraceFlags.SAMPLED } }),
    startTime: toHrTime(span.startedAtMs),
    endTime: toHrTime(endedAtMs),
    duration: toHrTime(endedAtMs - span.startedAtMs),
    status: span.error === null ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: span.error },
    attributes: { ...Object.fromEntries(known), ...(span.error === null ? {} : { "error.type": span.error }) },
    ...{ links: [], events: [], ended: true, resource },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
    instrumentationScope: { name: "rendiff", version },
  };
}

export interface SinkOptions {
  readonly config: TracesConfig;
  readonly logger: Logger;
  readonly version: string;
  readonly role: string;
}

/** At the end of a word: the collector may have repeated what it was sent, and half a token is not known for one. */
const shortened = (message: string): string =>
  message.length <= REASON_LENGTH_MAX ? message : message.slice(0, REASON_LENGTH_MAX).replace(/\S*$/, "…");

function complainTo(logger: Logger): void {
  let quietUntilMs = 0;
  const complain = (message: string): void => {
    if (performance.now() < quietUntilMs) return;
    quietUntilMs = performance.now() + COMPLAIN_EVERY_MS;
    logger.warn({ reason: shortened(message) }, "traces could not be sent");
  };
  const ignore = (): void => {};
  const sink = { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(sink, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

export function openOtlp({ config, logger, version, role }: SinkOptions): SpanSink {
  complainTo(logger);
  const resource = resourceFromAttributes({
    "service.version": version,
    "service.instance.id": Bun.randomUUIDv7(),
    "rendiff.role": role,
    ...config.resourceAttributes,
    "service.name": config.serviceName,
  });
  const gzip = config.compression === "gzip" ? { compression: CompressionAlgorithm.GZIP } : {};
  const options = { url: config.url, headers: { ...config.headers }, timeoutMillis: config.timeoutMs, ...gzip };
  const exporter = config.protocol === "http/json" ? new JsonExporter(options) : new ProtobufExporter(options);
  const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: DELAY_MS });
  return {
    emit: (span) => processor.onEnd(toReadable(span, resource, version)),
    async close() {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, CLOSE_MS_MAX);
      await Promise.race([processor.shutdown().catch(() => {}), late.promise]);
      clearTimeout(timer);
    },
  };
}
